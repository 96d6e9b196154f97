"""Rows that cannot be learned from: refused with count and place, or left out with a note."""

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Pillow

from hf_transfer_kit.data.columns import find_columns
from hf_transfer_kit.data.rows import usable_parts
from hf_transfer_kit.data.sources import Part
from hf_transfer_kit.errors import DataError
from hf_transfer_kit.plan import DataSpec


def usable(*parts, drop_empty=False):
    """(usable parts, notes) of data sets or mappings, named train, validation, test in this order."""
    names = ("train", "validation", "test")
    parts = [part if isinstance(part, Dataset) else Dataset.from_dict(part) for part in parts]
    parts = [Part(split=name, origin=f"{name}.csv", rows=rows) for name, rows in zip(names, parts, strict=False)]
    notes = []
    columns = find_columns(parts[0].rows, DataSpec(path="x"), "train.csv")
    return usable_parts(parts, columns, drop_empty, notes), notes


def message_of(*parts, **options):
    with pytest.raises(DataError) as error:
        usable(*parts, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


GOOD = {"text": ["a", "b", "c"], "label": ["x", "y", "x"]}


def test_labels_are_named_whatever_their_type():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    numbered = Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}, features=features)
    cases = [
        (numbered, ["yes", "no", "yes"]),
        ({"text": ["a", "b", "c"], "label": [3, 10, 3]}, ["3", "10", "3"]),
        ({"text": ["a", "b", "c"], "label": [1.0, 2.5, 1.0]}, ["1", "2.5", "1"]),
        ({"text": ["a", "b", "c"], "label": [True, False, True]}, ["true", "false", "true"]),
        ({"text": ["a", "b", "c"], "label": [" x", "y ", "x"]}, ["x", "y", "x"]),
    ]
    for rows, names in cases:
        assert usable(rows)[0][0].used_labels() == names
    assert usable(numbered)[0][0].class_names == ("no", "yes")


@pytest.mark.parametrize("bad", ["", "  \t", None, "nan", "NaN"])
def test_empty_texts_are_counted_and_placed(bad):
    message = message_of({"text": ["a", bad, "c", bad, bad, bad], "label": list("xyxyxy")})
    assert "train.csv: 4 of 6 texts cannot be used: row 2 " in message
    assert "row 4" in message
    assert "row 6" not in message
    assert message.endswith("correct them, or leave such rows out with --drop-empty.")


@pytest.mark.parametrize("labels", [["x", "", "y"], ["x", None, "y"], [1.0, float("nan"), 0.0], ["x", "nan", "y"]])
def test_missing_labels_are_counted_and_placed(labels):
    message = message_of({"text": ["a", "b", "c"], "label": labels})
    assert (
        "train.csv: 1 of 3 labels are missing: row 2; correct them, or leave such rows out with --drop-empty"
        in message
    )


def test_minus_one_in_a_numbered_label_column_is_a_missing_label():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    rows = Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, -1, 0]}, features=features)
    assert "labels are missing: row 2" in message_of(rows)


def test_words_such_as_none_are_texts_and_labels():
    parts, notes = usable({"text": ["None", "NA", "null"], "label": ["none", "NA", "none"]})
    assert len(parts[0].rows) == 3
    assert notes == []


def test_dropping_empty_rows_keeps_the_numbers_of_the_others_and_notes_it():
    parts, notes = usable({"text": ["a", "", "c", "d"], "label": ["x", "y", None, "y"]}, drop_empty=True)
    assert parts[0].rows.tolist() == [0, 3]
    assert parts[0].used_labels() == ["x", "y"]
    assert notes == [
        "train.csv: 1 of 4 texts cannot be used: row 2 is empty; left out",
        "train.csv: 1 of 4 labels are missing: row 3; left out",
    ]


def test_nothing_left_is_an_error():
    message = message_of({"text": ["", ""], "label": ["x", "y"]}, drop_empty=True)
    assert "no row is left that has both text and label; add examples" in message


@pytest.mark.parametrize("part", [{"text": ["a"]}, {"text": ["a"], "label": [None]}, {"text": ["a"], "label": [""]}])
def test_a_test_part_without_labels_is_left_out_with_a_note(part):
    parts, notes = usable(GOOD, part)
    assert [part.split for part in parts] == ["train"]
    assert notes == ["validation.csv has no labels in 'label' and is left out"]


def test_a_part_without_the_input_column_is_an_error():
    message = message_of(GOOD, {"txt": ["a"], "label": ["x"]})
    assert "validation.csv has no column 'text', which the train part has; did you mean 'txt'?" in message


@pytest.fixture
def pictures(tmp_path):
    """A data set of 300 picture files, more than are checked at once; number 280 is cut off, number 290 is a text."""
    paths = [tmp_path / f"{i}.png" for i in range(300)]
    for i, path in enumerate(paths):
        Pillow.new("RGB", (20, 20), (i % 256, i // 256, 0)).save(path)
    whole = paths[280].read_bytes()
    paths[280].write_bytes(whole[: whole.index(b"IDAT") + 8])
    paths[290].write_text("not a picture")
    features = Features({"image": Image(decode=False), "label": Value("string")})
    return Dataset.from_dict({"image": [str(path) for path in paths], "label": ["a", "b"] * 150}, features=features)


def test_broken_images_are_counted_and_named(pictures):
    message = message_of(pictures)
    assert "2 of 300 images cannot be used: row 281 (" in message
    assert "280.png) cannot be read as an image: " in message
    assert "290.png) cannot be read as an image: not a picture of a known format" in message
    assert "--drop-empty" in message


def test_broken_images_inside_a_table_are_named_by_row(pictures):
    embedded = [{"bytes": open(value["path"], "rb").read(), "path": None} for value in pictures["image"]]
    rows = Dataset.from_dict({"image": embedded, "label": ["a", "b"] * 150}, features=pictures.features)
    assert "images cannot be used: row 281 cannot be read" in message_of(rows)


def test_broken_images_can_be_left_out(pictures):
    parts, notes = usable(pictures, drop_empty=True)
    assert set(range(300)) - set(parts[0].rows.tolist()) == {280, 290}
    assert "2 of 300 images" in notes[0]


def test_rows_of_a_selection_keep_their_labels():
    rows = Dataset.from_dict({"text": list("abcd"), "label": list("wxwx")}).select([3, 0])
    part = usable(rows)[0][0]
    assert part.inputs["input"][:] == ["d", "a"]
    assert part.used_labels() == ["x", "w"]
