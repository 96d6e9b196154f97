"""Tables from files: what is read, and what is said of files that cannot be read."""

import json

import datasets
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from hf_transfer_kit.data.files import read_table
from hf_transfer_kit.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def rows_of(path):
    return read_table(path).to_list()


TWO_ROWS = [{"text": "good, really", "label": "1"}, {"text": 'a "bad"\nfilm', "label": "0"}]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_with_quotes_line_breaks_and_byte_order_mark(write, mark, end):
    text = end.join(["text,label", '"good, really",1', '"a ""bad""\nfilm",0', ""])
    assert rows_of(write("a.csv", mark + text.encode())) == TWO_ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_csv_file_is_found(write, delimiter):
    path = write("a.csv", f"text{delimiter}label\nx y{delimiter}1\n")
    assert rows_of(path) == [{"text": "x y", "label": "1"}]


def test_blank_lines_are_skipped_and_words_such_as_none_are_kept(write):
    path = write("a.csv", "text,label\n\nnone,NA\nnull,007\n\n")
    assert rows_of(path) == [{"text": "none", "label": "NA"}, {"text": "null", "label": "007"}]


def test_a_tsv_file_without_quoting_keeps_its_quotes(write):
    path = write("a.tsv", 'text\tlabel\n"Hello there.\t1\n"Bye" she said\t0\n')
    assert [row["text"] for row in rows_of(path)] == ['"Hello there.', '"Bye" she said']


def test_a_text_longer_than_the_limit_of_the_csv_reader(write):
    import csv

    before = csv.field_size_limit()
    long = "word " * 40_000
    assert rows_of(write("a.csv", f"text,label\n{long},1\n"))[0]["text"] == long
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps([{"text": "x", "label": 1}, {"text": "y", "label": 0}])),
        ("a.json", json.dumps({"version": 1, "data": [{"text": "x", "label": 1}, {"text": "y", "label": 0}]})),
        ("a.json", '{"text": "x", "label": 1}\n{"text": "y", "label": 0}\n'),
        ("a.jsonl", '{"text": "x", "label": 1}\n\n{"text": "y", "label": 0}'),
    ],
)
def test_json_in_its_usual_forms(write, name, content):
    assert rows_of(write(name, content)) == [{"text": "x", "label": 1}, {"text": "y", "label": 0}]


def test_json_with_missing_keys_and_mixed_values(write):
    lines = [{"text": "x", "label": 1}, {"label": "two", "odd": [1]}, {"odd": 3}]
    path = write("a.jsonl", "\n".join(map(json.dumps, lines)))
    assert rows_of(path) == [
        {"text": "x", "label": "1"},
        {"text": None, "label": "two"},
        {"text": None, "label": None},
    ]


def test_parquet_with_and_without_the_types_of_datasets(tmp_path):
    picture = {"bytes": b"...", "path": "x.png"}
    typed = datasets.Features({"picture": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    datasets.Dataset.from_dict({"picture": [picture], "label": [1]}, features=typed).to_parquet(
        tmp_path / "typed.parquet"
    )
    pyarrow.parquet.write_table(pyarrow.table({"picture": [picture], "label": [1]}), tmp_path / "plain.parquet")
    for name in ("typed", "plain"):
        rows = read_table(tmp_path / f"{name}.parquet")
        assert isinstance(rows.features["picture"], datasets.Image)
        assert rows[0] == {"picture": picture, "label": 1}


@pytest.mark.parametrize("place", ["", "pictures/", "train/"])
def test_names_of_image_files_in_a_table_become_images(tmp_path, place):
    (tmp_path / place).mkdir(exist_ok=True)
    Image.new("RGB", (2, 2)).save(tmp_path / place / "x.png")
    (tmp_path / "train.csv").write_text("file,label\nx.png,1\nX2.JPG,0\n")
    rows = read_table(tmp_path / "train.csv")
    assert isinstance(rows.features["file"], datasets.Image)
    assert rows[0]["file"]["path"] == str(tmp_path / place / "x.png")


def test_a_changed_file_is_read_anew(write):
    assert rows_of(write("a.csv", "text,label\nx,1\n"))[0]["text"] == "x"
    assert rows_of(write("a.csv", "text,label\ny,1\n"))[0]["text"] == "y"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xlsx", "x", ["a.xlsx", ".csv", "export it"]),
        ("a.csv", "", ["a.csv", "is empty", "write a header"]),
        ("a.csv", "\n", ["a.csv", "no header", "column names"]),
        ("a.csv", "text,label\n", ["a.csv", "no rows", "add examples"]),
        ("a.json", "[]", ["a.json", "no rows", "add examples"]),
        ("a.csv", "text,text\na,b\n", ["two columns named 'text'", "its own name"]),
        ("a.csv", "text,label\nx,1\na,b,2\n", ["line 3 has 3 values", "has 2 (text, label)", "quotes around"]),
        ("a.csv", 'text,label\n"x\ny",1\nalone\n', ["line 4 has 1 values", "complete the row"]),
        ("a.csv", 'text,label\nx,1\n"open,1\n', ["line 3", "close every quote"]),
        ("a.csv", 'text,label\n"x" y,1\n', ["line 2", "quotes inside a text twice"]),
        ("a.json", '{"text": }', ["line 1, column 10", "correct it"]),
        ("a.json", '{"text": "x"}', ["holds no rows", "list of objects"]),
        ("a.json", '[{"text": "x"}, "y"]', ["row 2", "'y'", "not an object"]),
        ("a.jsonl", '{"text": "x"}\n{"text": \n', ["line 2", "not valid JSON", "one object a line"]),
        ("a.parquet", "PAR1 no", ["a.parquet", "Parquet", "write the file again"]),
    ],
)
def test_a_broken_file_is_refused_with_place_and_way_out(write, name, content, words):
    with pytest.raises(DataError) as error:
        read_table(write(name, content))
    message = str(error.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message


def test_another_unicode_encoding_is_recognised(write):
    with pytest.raises(DataError, match=r"byte 0 \(0xff\) in line 1.*iconv -f utf-16 -t utf-8 'a.csv' > new.csv"):
        read_table(write("a.csv", "text,label\n".encode("utf-16")))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl"])
def test_bytes_that_are_not_utf8_are_refused_with_line_and_byte(write, name):
    with pytest.raises(DataError, match=r"byte 17 \(0xe9\) in line 2; save it as UTF-8.*iconv -f latin1") as error:
        read_table(write(name, "text,label\nun caf\xe9,1\n".encode("latin-1")))
    assert name in str(error.value)
