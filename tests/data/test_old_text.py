"""Old text without labels: every form it comes in, when it counts as labelled, what is split off and left out."""

import hashlib
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from hf_transfer_kit.data import old_text
from hf_transfer_kit.data.old_text import OldTextData, check_old_text_use, has_labels, load_old_text, text_digest
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import (
    DataSpec,
    EwcSettings,
    Full,
    L2spSettings,
    Lora,
    Protection,
    ReplaySettings,
)

TEXTS = [f"the otter swims in river {number}" for number in range(20)]

OLD = OldTextData(path="old.txt", train=("a",), test=("b",), digest="")


def write(path: Path, texts=TEXTS) -> DataSpec:
    """The texts in the format that the ending of `path` names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = Dataset.from_dict({"text": list(texts)})
    if path.suffix == ".txt":
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    elif path.suffix == ".csv":
        rows.to_csv(path)
    elif path.suffix == ".jsonl":
        rows.to_json(path)
    elif path.suffix == ".parquet":
        rows.to_parquet(path)
    else:
        DatasetDict({"train": rows}).save_to_disk(path)
    return DataSpec(path=str(path))


@pytest.mark.parametrize("name", ["texts.txt", "texts.csv", "texts.jsonl", "texts.parquet", "saved"])
def test_every_format_gives_the_same_texts(tmp_path, name):
    spec = write(tmp_path / name)
    assert not has_labels(spec)
    data, from_lines = load_old_text(spec), load_old_text(write(tmp_path / "again" / "texts.txt"))
    assert (data.train, data.test, data.digest) == (from_lines.train, from_lines.test, from_lines.digest)
    assert sorted(data.train + data.test) == sorted(TEXTS)
    assert len(data.test) == 4  # a fifth
    assert list(data.test) == sorted(data.test, key=TEXTS.index)
    assert "no label column: scored as plain text" in data.notes


@pytest.mark.parametrize("ending", ["txt", "csv"])
def test_a_folder_by_split_keeps_its_parts_whole(tmp_path, ending):
    write(tmp_path / f"train.{ending}", TEXTS[:15])
    write(tmp_path / f"test.{ending}", TEXTS[15:])
    write(tmp_path / f"validation.{ending}", ["unused"])
    data = load_old_text(DataSpec(path=str(tmp_path)))
    assert (data.train, data.test) == (tuple(TEXTS[:15]), tuple(TEXTS[15:]))
    assert any("validation" in note for note in data.notes)


def test_a_split_is_the_same_every_time_and_another_for_another_seed(tmp_path):
    path = write(tmp_path / "texts.txt").path
    first, again, other = (load_old_text(DataSpec(path=path, split_seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first.test != other.test and first.digest != other.digest


def test_the_digest_is_of_the_texts_in_their_order():
    by_hand = hashlib.sha256((1).to_bytes(8, "big") + b"a" + (2).to_bytes(8, "big") + b"bc").hexdigest()
    assert text_digest(["a", "bc"]) == by_hand
    assert len({text_digest(texts) for texts in (["a", "bc"], ["bc", "a"], ["ab", "c"], ["a"])}) == 4


def test_no_test_text_is_among_the_train_texts(tmp_path):
    repeated = load_old_text(write(tmp_path / "texts.txt", TEXTS * 3))
    assert not set(repeated.train) & set(repeated.test)
    assert len(repeated.test) == 4 and len(repeated.train) == 48
    write(tmp_path / "parts" / "train.txt", TEXTS)
    write(tmp_path / "parts" / "test.txt", TEXTS[:3])
    parts = load_old_text(DataSpec(path=str(tmp_path / "parts")))
    assert parts.train == tuple(TEXTS[3:]) and parts.test == tuple(TEXTS[:3])
    assert any("3 texts stand in the test part" in note for note in parts.notes)


def test_empty_texts_are_left_out_and_more_than_enough_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(old_text, "MOST_TEST", 2)
    monkeypatch.setattr(old_text, "MOST_TRAIN", 5)
    data = load_old_text(write(tmp_path / "texts.csv", [*TEXTS, " ", ""]))
    assert (len(data.train), len(data.test)) == (5, 2)
    assert set(data.train + data.test) <= set(TEXTS)
    assert list(data.train) == sorted(data.train, key=TEXTS.index)
    notes = " ".join(data.notes)
    assert "2 of 22 texts are empty" in notes and "5 of 16 texts" in notes and "2 of 4 texts" in notes


def test_lines_end_at_line_feeds_only(tmp_path):
    (tmp_path / "texts.txt").write_bytes("one\u2028text\r\n\r\n  another  \n".encode())
    data = load_old_text(DataSpec(path=str(tmp_path / "texts.txt")))
    assert sorted(data.train + data.test) == ["another", "one\u2028text"]


@pytest.mark.parametrize(
    ("columns", "labelled"),
    [
        ({"text": TEXTS}, False),
        ({"line": ["a", "b"] * 10}, False),  # the only column of texts, whatever it holds
        ({"text": TEXTS, "url": [f"/{number}" for number in range(20)]}, False),
        ({"text": TEXTS, "title": ["river"] * 10 + ["sea"] * 10}, False),  # a text by its name
        ({"text": TEXTS, "length": [number / 3 for number in range(20)]}, False),
        ({"text": TEXTS, "empty": ["a", "a", "b", "b"] + [None] * 16}, False),
        ({"text": TEXTS, "label": TEXTS}, True),  # by its name
        ({"text": TEXTS, "Intent": list(range(20))}, True),
        ({"text": TEXTS, "kind": ["river", "sea"] * 10}, True),  # by its values
        ({"text": TEXTS, "a": [0, 1] * 10, "b": [0, 1] * 10}, True),  # which one, the labelled way will ask
        ({"text": TEXTS, "labels": [[0]] * 20}, True),
        ({"number": list(range(20))}, True),  # no text: the labelled way says so
    ],
)
def test_labels_are_what_could_be_learned_beside_the_text(tmp_path, columns, labelled):
    Dataset.from_dict(columns).to_parquet(tmp_path / "rows.parquet")
    assert has_labels(DataSpec(path=str(tmp_path / "rows.parquet"))) is labelled


def test_a_named_label_column_means_labels(tmp_path):
    spec = write(tmp_path / "texts.csv")
    assert has_labels(DataSpec(path=spec.path, label_column="text"))


def test_a_usual_name_or_the_option_says_which_column_holds_the_texts(tmp_path):
    others = [text.upper() for text in TEXTS]
    Dataset.from_dict({"first": TEXTS, "second": others}).to_parquet(tmp_path / "two.parquet")
    path = str(tmp_path / "two.parquet")
    assert not has_labels(DataSpec(path=path))
    with pytest.raises(DataError, match="first, second could all be the texts; name one with --old-input-column"):
        load_old_text(DataSpec(path=path))
    assert set(load_old_text(DataSpec(path=path, input_column="second")).train) <= set(others)
    Dataset.from_dict({"first": TEXTS, "Sentence": others}).to_parquet(tmp_path / "usual.parquet")
    assert set(load_old_text(DataSpec(path=str(tmp_path / "usual.parquet"))).train) <= set(others)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"input_column": "body"}, "has no column 'body'"),
        ({"input_column": "number"}, "column 'number' holds no texts"),
        ({"path": "missing.txt"}, "does not exist"),
        ({"path": "plain.txt", "input_column": "text"}, "plain text without columns, such as 'text'"),
        ({"path": "plain.txt", "split_seed": -1}, "split_seed=-1"),
        ({"path": "one.txt"}, "1 different texts"),
        ({"path": "binary.txt"}, "is not UTF-8"),
        ({"path": "unnamed"}, "holds a.txt, b.txt; name them train.txt and test.txt"),
    ],
)
def test_errors_say_what_to_do(tmp_path, monkeypatch, spec, message):
    monkeypatch.chdir(tmp_path)
    Dataset.from_dict({"text": TEXTS, "number": list(range(20))}).to_parquet("rows.parquet")
    for name in ("plain.txt", "unnamed/a.txt", "unnamed/b.txt"):
        write(Path(name))
    Path("one.txt").write_text("the same\nthe same\n")
    Path("binary.txt").write_bytes(b"caf\xe9\nfox\n")
    with pytest.raises((DataError, PlanError), match=message):
        load_old_text(DataSpec(**({"path": "rows.parquet"} | spec)))


def test_what_needs_labels_or_the_head_is_refused():
    text, nothing = "text-classification", Protection()
    ewc, l2sp, replay = Protection(ewc=EwcSettings()), Protection(l2sp=L2spSettings()), ReplaySettings()
    for approach, protection in ((Full(), ewc), (Full(), l2sp), (Lora(), l2sp), (Lora(), nothing)):
        check_old_text_use(OLD, text, approach, protection)
    with pytest.raises(PlanError, match=r"replay needs labels.*use ewc or l2sp"):
        check_old_text_use(OLD, text, Full(), Protection(replay=replay))
    with pytest.raises(PlanError, match="no adapters; use lora"):
        check_old_text_use(OLD, text, Lora(), ewc)
    with pytest.raises(DataError, match="the new data is for image-classification"):
        check_old_text_use(OLD, "image-classification", Full(), nothing)
