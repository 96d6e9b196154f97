import errno
import json
import os
import shutil
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from hf_transfer_kit.app.data import upload_checks
from hf_transfer_kit.app.data.upload_checks import check_upload
from hf_transfer_kit.app.data.uploads import SUFFIXES, Uploads, named_in_jobs, safe_name
from hf_transfer_kit.errors import DataError, OutputError
from hf_transfer_kit.launch.store import JobStore

ROWS = "text,label\n" + "".join(f"hello {i},{i % 2}\n" for i in range(60))


@pytest.fixture
def sent(tmp_path):
    """sent(name, content): a file as the page took it."""

    def write(name="mine.csv", content=ROWS):
        file = tmp_path / "gradio" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path / "uploads")


def kept_files(uploads):
    return [file for file in uploads._folder.rglob("*") if file.is_file()]


def test_a_file_is_kept_once_and_found_by_its_number(uploads, sent):
    first = uploads.keep(sent())
    second = uploads.keep(sent("copy.csv"))

    assert first == second == uploads.find(first.id)
    assert [file.read_text() for file in kept_files(uploads)] == [ROWS]
    assert first.path.name == "mine.csv"


def test_the_same_content_of_another_kind_is_another_file(uploads, sent):
    assert uploads.keep(sent("a.csv")).id != uploads.keep(sent("a.tsv")).id


@pytest.mark.parametrize(
    "name",
    [
        "../../x.csv", "/etc/passwd.csv", "..\\..\\x.csv", "a\0b.csv", "x" * 300 + ".csv", "ü漢字🙂 (1).csv", ".csv",
        "-rf.csv", "a\nb.csv", "\udc80.csv", "$(id).csv", "<img src=x>.csv", "..csv", "a b\t.CSV",
    ],
)  # fmt: skip
def test_hostile_names_become_harmless(tmp_path, name):
    safe = safe_name(name)

    assert safe == Path(safe).name
    assert not safe.startswith((".", "-"))
    assert safe.lower().endswith(".csv")
    assert len(os.fsencode(safe)) <= 255
    assert not set(safe) & set("/\\\0\n <>$()")
    (tmp_path / safe).write_text("x")
    assert [file.name for file in tmp_path.iterdir()] == [safe]


@pytest.mark.parametrize("number", ["", "../..", "0" * 31, "0" * 32, "0" * 32 + "\n", None, 7, ["a"], "/etc/passwd"])
def test_what_is_no_number_of_a_file_finds_nothing(uploads, sent, number):
    uploads.keep(sent())

    assert uploads.find(number) is None


def test_of_too_many_the_one_not_used_for_longest_goes_unless_a_job_needs_it(tmp_path, sent):
    uploads = Uploads(tmp_path / "uploads", most=3)
    ids = []
    for number in range(3):
        ids.append(uploads.keep(sent(content=f"{ROWS}{number}")).id)
        os.utime(uploads._folder / ids[-1], (number, number))
    uploads.find(ids[0])  # used again: now the second is the oldest

    fourth = uploads.keep(sent(content=f"{ROWS}4"), in_use={ids[1]}).id

    assert [number for number in [*ids, fourth] if uploads.find(number) is None] == [ids[2]]


def test_what_jobs_learn_from_is_known_by_their_commands_and_plans(tmp_path):
    store = JobStore(tmp_path / "jobs")
    number = "ab" * 16
    store.submit(lambda folder: ["true", f"--data={tmp_path}/uploads/mine/{number}/x.csv"])

    assert number in named_in_jobs(store.root)
    assert named_in_jobs(tmp_path / "none") == set()


@pytest.mark.parametrize(("name", "words"), [("images.zip", "archive"), ("x.exe", "no table"), ("passwd", "no table")])
def test_other_files_are_refused_with_the_reason(uploads, sent, name, words):
    with pytest.raises(DataError, match=words):
        uploads.keep(sent(name))
    assert not uploads._folder.exists()


def deep(depth):
    return b"[" * depth


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b""), ("x.csv", b"\x00\x01\xff\xfe"), ("x.csv", b'"a,b\n'), ("x.csv", b"a,b\n1,2,3\n"),
        ("x.json", b"{"), ("x.json", deep(200_000)), ("x.jsonl", b"1\n2\n"), ("x.parquet", b"PAR1 no"),
        ("x.parquet", b""), ("x.csv", b"\n" * (upload_checks.MOST_ROWS + 1)),
    ],
)  # fmt: skip
def test_broken_files_are_refused_in_one_sentence_and_nothing_is_lost(tmp_path, sent, name, content):
    uploads = Uploads(tmp_path / "uploads", most=1)
    before = uploads.keep(sent())

    with pytest.raises(DataError) as error:
        uploads.keep(sent(name, content), check=check_upload)

    assert str(tmp_path) not in str(error.value)
    assert "x." in str(error.value)
    assert "\n" not in str(error.value)
    assert uploads.find(before.id) == before
    assert len(kept_files(uploads)) == 1


def test_a_file_that_names_images_of_this_machine_is_refused(uploads, sent, tmp_path):
    image = tmp_path / "secret.png"
    image.write_bytes(b"not looked at")
    table = "picture,label\n" + "".join(f"{image},{i % 2}\n" for i in range(60))
    rows = [{"bytes": None, "path": str(image)}] * 4
    pyarrow.parquet.write_table(pyarrow.table({"image": rows}), tmp_path / "x.parquet")

    listed = json.dumps([{"picture": str(image), "label": 1}] * 4)

    for file in (sent("x.csv", table), sent("y.json", listed), tmp_path / "x.parquet"):
        with pytest.raises(DataError, match="names image files"):
            uploads.keep(file, check=check_upload)


def test_images_inside_a_file_are_taken(uploads, tmp_path):
    rows = [{"bytes": b"x", "path": "a.png"}, {"bytes": None, "path": None}]
    pyarrow.parquet.write_table(pyarrow.table({"image": rows}), tmp_path / "x.parquet")

    assert uploads.keep(tmp_path / "x.parquet", check=check_upload).path.exists()


def test_a_small_file_that_unpacks_to_much_is_refused_before_it_is_unpacked(uploads, tmp_path, monkeypatch):
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x"] * 600_000}), tmp_path / "x.parquet")
    monkeypatch.setattr("hf_transfer_kit.data.files.read_table", lambda path: pytest.fail("it was read"))

    assert (tmp_path / "x.parquet").stat().st_size < 10_000
    with pytest.raises(DataError, match="600,000 rows"):
        uploads.keep(tmp_path / "x.parquet", check=check_upload)
    monkeypatch.setattr(upload_checks, "MOST_ROWS", 10**6)
    monkeypatch.setattr(upload_checks, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="unpacked"):
        uploads.keep(tmp_path / "x.parquet", check=check_upload)


def test_a_full_disk_is_said_and_leaves_nothing_half(uploads, sent, monkeypatch):
    before = uploads.keep(sent())

    def full(source, target):
        Path(target).write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutputError, match=r"No space left on device.*make room"):
        uploads.keep(sent(content=ROWS + "more,1\n"))
    assert [file.read_text() for file in kept_files(uploads)] == [ROWS]
    assert uploads.find(before.id) == before


def test_every_kind_that_the_page_offers_is_read():
    from hf_transfer_kit.data.files import TABLE_SUFFIXES

    assert set(SUFFIXES) == set(TABLE_SUFFIXES)
