"""What an upload must be to be taken: readable, not too much, and without names of files on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

from hf_transfer_kit.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

MOST_ROWS = 500_000
MOST_BYTES = 1 << 30  # of a Parquet file when it is unpacked
_ELSEWHERE = "use fewer, or: transfer-kit baseline --data FILE"


def check_upload(path: Path) -> None:
    """Reads the whole file once.

    Raises:
        DataError: it is broken, too large once it is unpacked, or names image files instead of holding the images.
    """
    from hf_transfer_kit.data.files import read_table

    _check_size(path)
    try:
        rows = read_table(path)
    except DataError:
        raise
    except (RuntimeError, MemoryError, ValueError, ArithmeticError, LookupError, OSError) as error:
        raise DataError(f"'{path.name}' cannot be read ({type(error).__name__}); write the file again.") from error
    _check_images(rows, path.name)


def _check_size(path: Path) -> None:
    """Counts before anything is unpacked: a small file may stand for much."""
    if path.suffix.lower() == ".parquet":
        import pyarrow
        import pyarrow.parquet

        try:
            found = pyarrow.parquet.read_metadata(path)
        except (pyarrow.ArrowException, OSError):
            return  # whoever reads it says what is wrong
        rows = found.num_rows
        size = sum(found.row_group(number).total_byte_size for number in range(found.num_row_groups))
        if size > MOST_BYTES:
            raise DataError(f"'{path.name}' has {size / 1e9:.1f} GB when it is unpacked, too much here; {_ELSEWHERE}")
    else:
        rows = path.read_bytes().count(b"\n")
    if rows > MOST_ROWS:
        raise DataError(f"'{path.name}' has {rows:,} rows; {MOST_ROWS:,} is the most here; {_ELSEWHERE}")


def _check_images(rows: "Dataset", name: str) -> None:
    """An image that is only named would be looked for on this machine, wherever its name points to."""
    import pyarrow.compute as compute
    from datasets import Image

    for column, kind in rows.features.items():
        if isinstance(kind, Image):
            values = rows.data.column(column)
            without = compute.is_null(compute.struct_field(values, "bytes"))
            named = compute.is_valid(compute.struct_field(values, "path"))
            if compute.any(compute.and_(without, named)).as_py():
                raise DataError(
                    f"'{name}' names image files in column '{column}', which an upload does not bring along; upload "
                    "a Parquet file with the images in it."
                )
