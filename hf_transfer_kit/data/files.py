"""Tables from files: CSV, TSV, JSON, JSON lines, Parquet; what is wrong with a file is said with its line.

Everything is read into memory and nothing is cached, so a file that was changed is always read anew.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from datasets import Dataset, Image, Value

from hf_transfer_kit.errors import DataError
from hf_transfer_kit.tasks.image_classification import IMAGE_SUFFIXES

TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")


def read_table(path: Path) -> Dataset:
    """The rows of one file.

    Values of CSV and TSV are text. Encoded images and names of image files are `datasets.Image(decode=False)`.

    Raises:
        DataError: the file has another format, is empty, broken, not UTF-8, or has no rows.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "reviews.csv")
        >>> _ = file.write_text("text,label\\ngood,1\\nbad,0\\n")
        >>> read_table(file)[0]
        {'text': 'good', 'label': '1'}
    """
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise DataError(
            f"'{path}' is no table the kit reads ({', '.join(TABLE_SUFFIXES)}); export it as CSV or Parquet, "
            "or unpack it if it is an archive."
        )
    if path.stat().st_size == 0:
        raise DataError(f"'{path}' is empty; write a header and at least two rows with different labels into it.")
    if suffix == ".parquet":
        table = _read_parquet(path)
    elif suffix in (".csv", ".tsv"):
        table = _read_delimited(path, decode(path))
    else:
        table = _read_json(path, decode(path))
    if table.num_rows == 0:
        raise DataError(f"'{path}' has no rows; add examples, or delete the file.")
    return _mark_image_files(mark_images(Dataset(table)), path)


def mark_images(dataset: Dataset) -> Dataset:
    """`dataset` with its columns of encoded pictures as `datasets.Image(decode=False)`: {"bytes", "path"} a row."""
    for name, kind in dataset.features.items():
        is_encoded = isinstance(kind, dict) and set(kind) == {
            "bytes",
            "path",
        }  # Parquet without the types of `datasets`
        if is_encoded or isinstance(kind, Image) or (isinstance(kind, Value) and kind.dtype.endswith("binary")):
            dataset = dataset.cast_column(name, Image(decode=False))
    return dataset


def _mark_image_files(dataset: Dataset, table: Path) -> Dataset:
    """`dataset` with its columns of names of image files as images; the names count from the table's folder."""
    for name, kind in dataset.features.items():
        if not isinstance(kind, Value) or "string" not in kind.dtype:
            continue
        if not all((value or "").lower().endswith(IMAGE_SUFFIXES) for value in dataset[:20][name]):
            continue
        files = dataset[name][:]
        folder = _folder_with(files[0], table)
        paths = [str(folder / file) if file else None for file in files]
        dataset = dataset.remove_columns(name).add_column(name, paths).cast_column(name, Image(decode=False))
    return dataset


def _folder_with(file: str, table: Path) -> Path:
    """Beside the table; else in `train/` for train.csv; else in the one folder there that has it."""
    beside = [folder for folder in sorted(table.parent.iterdir()) if (folder / file).is_file()]
    named = table.with_suffix("")
    if (table.parent / file).is_file() or not beside:
        return table.parent
    return named if named in beside else beside[0] if len(beside) == 1 else table.parent


def decode(path: Path) -> str:
    """The text of a UTF-8 file, with or without byte order mark.

    Raises:
        DataError: a byte is not UTF-8; names line and byte.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin1"  # the likeliest
        raise DataError(
            f"'{path}' is not UTF-8: byte {error.start} (0x{content[error.start]:02x}) in line {line}; save it as "
            f"UTF-8, for example with: iconv -f {encoding} -t utf-8 '{path.name}' > new{path.suffix}"
        ) from error


def _read_parquet(path: Path) -> pyarrow.Table:
    try:
        return pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"'{path}' cannot be read as Parquet ({reason}); write the file again.") from error


def _read_delimited(path: Path, text: str) -> pyarrow.Table:
    """A CSV or TSV file; the delimiter is the one that the header has most of."""
    first_line = text.lstrip().partition("\n")[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t|", key=first_line.count)
    try:
        return _split_rows(path, text, delimiter, csv.QUOTE_MINIMAL)
    except csv.Error as error:
        if delimiter == "\t":  # many tab-separated files know no quoting: a quote there is a plain character
            return _split_rows(path, text, delimiter, csv.QUOTE_NONE)
        raise DataError(
            f"'{path}' cannot be read as CSV at {error}; write quotes inside a text twice and close every quote."
        ) from error


def _split_rows(path: Path, text: str, delimiter: str, quoting: Any) -> pyarrow.Table:
    """Columns of text; raises csv.Error ("line 3: ...") where the quotes are broken."""
    limit = csv.field_size_limit(len(text) + 1)  # the default of 128 KB is shorter than some documents
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    rows = []
    try:
        header = _header(path, next(reader, []))
        for row in reader:
            if row and len(row) != len(header):
                raise DataError(
                    f"'{path}' line {reader.line_num} has {len(row)} values, the header has {len(header)} "
                    f"({', '.join(header)}); put quotes around texts that contain '{delimiter}', or complete the row."
                )
            if row:
                rows.append(row)
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(limit)
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    return pyarrow.table({name: pyarrow.array(c, pyarrow.string()) for name, c in zip(header, columns, strict=True)})


def _header(path: Path, names: list[str]) -> list[str]:
    """Column names without surrounding space; a name left empty (the index of pandas) gets one."""
    header = [name.strip() or f"unnamed {i}" for i, name in enumerate(names)]
    if not header:
        raise DataError(f"'{path}' has no header; write the column names into its first line.")
    if repeated := next((name for name in header if header.count(name) > 1), None):
        raise DataError(f"'{path}' has two columns named '{repeated}'; give each column its own name.")
    return header


def _read_json(path: Path, text: str) -> pyarrow.Table:
    """A list of objects, {"data": [objects]}, or one object a line, whatever the ending of the name says."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if path.suffix.lower() == ".json" and not error.msg.startswith("Extra data"):
            raise DataError(
                f"'{path}' is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}; correct it."
            ) from error
        content = _json_lines(path, text)
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        content = content["data"]
    elif isinstance(content, dict) and path.suffix.lower() == ".jsonl":
        content = [content]
    if not isinstance(content, list):
        raise DataError(f"'{path}' holds no rows; it must be a list of objects, or an object with the list as 'data'.")
    for number, row in enumerate(content, start=1):
        if not isinstance(row, dict):
            raise DataError(f"'{path}' row {number} is {str(row)[:40]!r}, not an object such as {{\"text\": ...}}.")
    return _table_of(content)


def _json_lines(path: Path, text: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(
                f"'{path}' line {number} is not valid JSON: {error.msg}, column {error.colno}; one object a line."
            ) from error
    return rows


def _table_of(rows: list[dict[str, Any]]) -> pyarrow.Table:
    """Columns of all keys; mixed plain values become text, a column that mixes in lists or objects is left out."""
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pyarrow.array(values)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
            if not any(isinstance(value, list | dict) for value in values):
                columns[name] = pyarrow.array([None if value is None else str(value) for value in values])
    return pyarrow.table(columns)
