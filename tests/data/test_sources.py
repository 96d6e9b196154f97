"""What --data can name, and what is said where nothing usable is there."""

import datasets
import pytest
from PIL import Image

from hf_transfer_kit.data import sources as data_sources
from hf_transfer_kit.data.sources import read_source
from hf_transfer_kit.errors import DataError

TABLE = "text,label\nx,1\ny,0\n"


def make(folder, *names):
    """Writes each name as a file: tables hold two rows, pictures one colour, anything else a word."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".png", ".jpg"):
            Image.new("RGB", (4, 4), len(name)).save(path)
        elif path.suffix == ".jsonl":
            path.write_text('{"text": "x", "label": 1}\n')
        else:
            path.write_text(TABLE if path.suffix == ".csv" else "word")
    return str(folder)


def parts_of(path):
    return {part.split: part.origin for part in read_source(path).parts}


def message_of(path):
    with pytest.raises(DataError) as error:
        read_source(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_one_file_is_the_train_part_whatever_its_name(tmp_path):
    make(tmp_path, "test.csv")
    assert parts_of(str(tmp_path / "test.csv")) == {"train": "test.csv"}


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "Val"])
def test_a_folder_of_tables_by_split_name(tmp_path, name):
    path = make(tmp_path, "test.csv", f"{name}.csv", "train.csv")
    assert parts_of(path) == {"train": "train.csv", "validation": f"{name}.csv", "test": "test.csv"}
    assert list(parts_of(path)) == ["train", "validation", "test"]


def test_tables_with_other_names_are_left_out_with_a_note(tmp_path):
    source = read_source(make(tmp_path, "train.csv", "test.csv", "oos_test.csv", "README.md"))
    assert [part.origin for part in source.parts] == ["train.csv", "test.csv"]
    assert source.notes == ("left out, not named train, validation or test: oos_test.csv",)


def test_names_that_only_contain_a_split_are_used_where_no_name_is_one(tmp_path):
    assert parts_of(make(tmp_path, "imdb_train.csv", "imdb_test.csv")) == {
        "train": "imdb_train.csv",
        "test": "imdb_test.csv",
    }


def test_shards_of_one_split_are_joined_in_order(tmp_path):
    path = make(tmp_path, "data/train-00000-of-00002.csv", "data/train-00001-of-00002.csv", "README.md")
    (tmp_path / "data/train-00001-of-00002.csv").write_text("text,label\nz,1\n")
    assert read_source(path).parts[0].rows["text"][:] == ["x", "y", "z"]


def test_the_only_table_of_a_folder_is_the_train_part(tmp_path):
    assert parts_of(make(tmp_path, "reviews.csv", "README.md")) == {"train": "reviews.csv"}


def test_a_folder_that_only_holds_a_folder_stands_for_it(tmp_path):
    assert parts_of(make(tmp_path, "archive/reviews/train.csv")) == {"train": "train.csv"}


def test_a_folder_of_images_by_class(tmp_path):
    path = make(tmp_path, "cat/b.png", "cat/a.JPG".lower(), "dog/deep/c.png", "dog/notes.txt", "empty/.keep", "x.md")
    source = read_source(path)
    rows = source.parts[0].rows
    assert rows["label"][:] == ["cat", "cat", "dog"]
    assert [value["path"] for value in rows["image"]] == [
        str(tmp_path / name) for name in ("cat/a.jpg", "cat/b.png", "dog/deep/c.png")
    ]
    assert any("dog: left out, no images: notes.txt" in note for note in source.notes)
    assert any("empty: left out, holds no images" in note for note in source.notes)


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Training", "valid", "Testing"),
        ("training_set", "dev_set", "test_set"),
        ("seg_train/seg_train", "seg_val/seg_val", "seg_test/seg_test"),
        ("set/train", "set/validation", "set/eval"),
    ],
)
def test_a_folder_of_images_by_split_and_class(tmp_path, names):
    path = make(tmp_path, *(f"{name}/{label}/x.png" for name in names for label in ("cat", "dog")))
    parts = read_source(path).parts
    assert [part.split for part in parts] == ["train", "validation", "test"]
    assert all(part.rows["label"][:] == ["cat", "dog"] for part in parts)


def test_a_class_may_be_called_train(tmp_path):
    parts = read_source(make(tmp_path, "bus/x.png", "train/y.png")).parts
    assert [(part.split, part.rows["label"][:]) for part in parts] == [("train", ["bus", "train"])]


def test_a_test_folder_without_classes_is_left_out_with_a_note(tmp_path):
    source = read_source(make(tmp_path, "train/cat/x.png", "train/dog/x.png", "test/1.png"))
    assert [part.split for part in source.parts] == ["train"]
    assert source.notes == ("left out, no folders of images by class: test",)


@pytest.mark.parametrize("single", [True, False])
def test_a_set_saved_by_datasets(tmp_path, single):
    rows = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [0, 1]})
    saved = rows if single else datasets.DatasetDict({"train": rows, "dev": rows, "extra": rows})
    saved.save_to_disk(tmp_path / "saved")
    source = read_source(str(tmp_path / "saved"))
    assert [part.split for part in source.parts] == (["train"] if single else ["train", "validation"])
    assert single or "extra" in source.notes[0]


def test_images_of_a_saved_set_are_not_decoded(tmp_path):
    make(tmp_path, "x.png")
    features = datasets.Features({"image": datasets.Image()})
    rows = datasets.Dataset.from_dict({"image": [str(tmp_path / "x.png")]}, features=features)
    rows.save_to_disk(tmp_path / "saved")
    assert set(read_source(str(tmp_path / "saved")).parts[0].rows[0]["image"]) == {"bytes", "path"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["test.csv"], ["no train part, only test.csv", "add one"]),
        (["a.csv", "b.csv"], ["a.csv, b.csv", "rename them"]),
        (["train.csv", "train.jsonl"], ["train.csv and train.jsonl", "the train part", "remove or rename"]),
        (["a.png", "b.png"], ["images but no folder per class", "named after its class"]),
        (["notes.txt"], ["holds notes.txt", ".csv", "folders of images"]),
        ([], ["holds nothing", ".csv"]),
        (["train/a/x.png", "training/a/x.png"], ["train and training", "remove or rename"]),
    ],
)
def test_a_folder_without_anything_usable_says_what_is_expected(tmp_path, names, words):
    make(tmp_path, *names)
    message = message_of(tmp_path)
    assert [word for word in words if word not in message] == [], message


def test_a_missing_file_names_the_nearest_one(tmp_path):
    make(tmp_path, "reviews.csv")
    assert message_of(tmp_path / "review.csv").endswith("review.csv' does not exist; did you mean 'reviews.csv'?")


def test_a_missing_folder_names_where_the_path_ends(tmp_path):
    message = message_of(tmp_path / "none" / "train.csv")
    assert f"there is no 'none' in '{tmp_path}'; check the path" in message


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    make(tmp_path, "train.csv")
    monkeypatch.setattr(data_sources, "read_table", refuse)
    assert "train.csv' may not be read; allow it with: chmod" in message_of(tmp_path)
