import pytest

from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.plan import DataSpec
from hf_transfer_kit.study.old_leaks import with_old_leaks

EMPTY = CheckReport(findings=(), leaked_test_rows=(1,), rows={"test": 20}, classes=2)


@pytest.fixture
def data_of(tmp_path):
    """Loads parts given as {name: texts}; the labels alternate."""

    def load(name, parts):
        folder = tmp_path / name
        folder.mkdir()
        for part, texts in parts.items():
            rows = [f"{text},{'ab'[i % 2]}" for i, text in enumerate(texts)]
            (folder / f"{part}.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
        return load_data(DataSpec(path=str(folder)))

    return load


def texts(start, count=20):
    words = ("parcel", "window", "garden", "engine", "doctor", "ticket", "camera", "bridge")
    return [f"{words[(start + i) % 8]} number {(start + i) * 7919} {words[(start + 3 * i) % 8]}" for i in range(count)]


def parts(start):
    return {"train": texts(start), "validation": texts(start + 100), "test": texts(start + 200)}


def test_new_test_rows_that_the_old_training_part_holds_are_leaked_and_old_test_rows_in_training_are_named(data_of):
    new, old = parts(0), parts(1000)
    old["train"][3] = new["test"][7].upper() + "!"  # a copy: capitals and punctuation do not count
    new["train"][5] = old["test"][0]

    report = with_old_leaks(EMPTY, data_of("new", new), data_of("old", old))

    leaked, flattering = report.findings
    assert report.leaked_test_rows == (1, 7)
    assert (leaked.kind, leaked.rows, leaked.severity) == ("leaked_old", (7,), "warning")
    assert leaked.message == (
        "1 of 20 test rows is a copy or near copy of old training rows; a model that learned those can answer from "
        "memory there."
    )
    assert (flattering.kind, flattering.rows) == ("old_test_in_training", (0,))


def test_data_that_share_nothing_have_no_finding(data_of):
    assert with_old_leaks(EMPTY, data_of("new", parts(0)), data_of("old", parts(1000))) == EMPTY
