"""Loading as a whole: parts, columns, hashes, subsets."""

from collections import Counter

import datasets
import numpy as np
import pytest
from PIL import Image

from hf_transfer_kit.data.labelled import content_hash, load_data, subset_rows
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import DataSpec

SPLITS = ("train", "validation", "test")


def write_table(path, classes=("a", "b", "c"), rows=60, start=0):
    """A CSV file of `rows` distinct texts; classes take turns."""
    lines = [f"text number {start + i},{classes[i % len(classes)]}" for i in range(rows)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def table(tmp_path):
    return write_table(tmp_path / "reviews.csv")


@pytest.fixture
def folder(tmp_path):
    """train.csv, validation.csv and test.csv."""
    for i, split in enumerate(SPLITS):
        write_table(tmp_path / f"{split}.csv", rows=30, start=1000 * i)
    return tmp_path


def texts(data, split):
    return data.part(split)["input"][:]


def test_one_file_is_split_into_three_disjoint_parts(table):
    data = load_data(DataSpec(path=table))
    parts = {split: texts(data, split) for split in SPLITS}
    assert {split: len(rows) for split, rows in parts.items()} == {"train": 39, "validation": 9, "test": 12}
    assert sorted(text for rows in parts.values() for text in rows) == sorted(f"text number {i}" for i in range(60))
    for split in SPLITS:
        assert set(Counter(data.part(split)["label"]).values()) == {len(parts[split]) // 3}


def test_each_row_keeps_its_label_and_its_place_in_the_source(table):
    data = load_data(DataSpec(path=table))
    for split in SPLITS:
        for i, row in enumerate(data.part(split)):
            number = int(row["input"].split()[-1])
            assert data.label_names[row["label"]] == "abc"[number % 3]
            assert data.where(split, i) == f"row {number + 1} of reviews.csv"


def test_rows_that_are_left_out_do_not_shift_the_others(tmp_path):
    path = tmp_path / "reviews.csv"
    write_table(path)
    path.write_text(path.read_text().replace("label\n", "label\n,a\n,b\n"))
    data = load_data(DataSpec(path=str(path), drop_empty=True))
    for split in SPLITS:
        for i, row in enumerate(data.part(split)):
            number = int(row["input"].split()[-1])
            assert data.label_names[row["label"]] == "abc"[number % 3]
            assert data.where(split, i) == f"row {number + 3} of reviews.csv"


def test_the_parts_have_two_columns_of_known_types(folder):
    data = load_data(DataSpec(path=str(folder)))
    for split in SPLITS:
        assert data.part(split).features == {"input": datasets.Value("string"), "label": datasets.Value("int64")}
    assert (data.task, data.input_column, data.label_column) == ("text-classification", "text", "label")


def test_parts_that_are_there_stay_as_they_are(folder):
    data = load_data(DataSpec(path=str(folder)))
    assert [texts(data, split)[0] for split in SPLITS] == ["text number 0", "text number 1000", "text number 2000"]
    assert [len(data.part(split)) for split in SPLITS] == [30, 30, 30]
    assert data.origins == {split: f"{split}.csv" for split in SPLITS}
    assert not any("split off" in note for note in data.notes)


@pytest.mark.parametrize(("missing", "rows"), [("validation", 4), ("test", 6)])
def test_only_the_missing_part_is_split_off_train(folder, missing, rows):
    (folder / f"{missing}.csv").unlink()
    data = load_data(DataSpec(path=str(folder)))
    assert len(data.part(missing)) == rows  # 15 % of 30 is 4.5, 20 % is 6
    assert len(data.train) == 30 - rows
    assert data.origins[missing] == "train.csv"
    assert sum("split off" in note for note in data.notes) == 1


def test_the_split_is_the_same_twice_and_changes_with_its_seed(table):
    first, again = (load_data(DataSpec(path=table)) for _ in range(2))
    other = load_data(DataSpec(path=table, split_seed=1))
    assert texts(first, "test") == texts(again, "test")
    assert first.hashes == again.hashes
    assert texts(first, "test") != texts(other, "test")


def test_a_split_does_not_depend_on_the_format_of_the_file(table, tmp_path):
    rows = datasets.load_dataset("csv", data_files=table, split="train", cache_dir=str(tmp_path / "cache"))
    rows.to_parquet(tmp_path / "other.parquet")
    rows.to_json(tmp_path / "other.jsonl")
    rows.save_to_disk(tmp_path / "saved")
    hashes = load_data(DataSpec(path=table)).hashes
    for name in ("other.parquet", "other.jsonl", "saved"):
        assert load_data(DataSpec(path=str(tmp_path / name))).hashes == hashes


def test_one_changed_byte_changes_the_hash_of_its_part_alone(folder):
    before = load_data(DataSpec(path=str(folder))).hashes
    content = (folder / "test.csv").read_text()
    (folder / "test.csv").write_text(content.replace("text number 2007", "text number 2107"))
    after = load_data(DataSpec(path=str(folder))).hashes
    assert before["train"] == after["train"]
    assert before["test"] != after["test"]


@pytest.mark.parametrize("change", ["label", "order"])
def test_labels_and_order_are_part_of_the_hash(folder, change):
    before = load_data(DataSpec(path=str(folder))).hashes["test"]
    header, *lines = (folder / "test.csv").read_text().splitlines()
    lines = [lines[0].replace(",a", ",b"), *lines[1:]] if change == "label" else [*lines[1:], lines[0]]
    (folder / "test.csv").write_text("\n".join([header, *lines]))
    assert load_data(DataSpec(path=str(folder))).hashes["test"] != before


def test_the_hash_keeps_input_and_label_apart():
    rows = {first: datasets.Dataset.from_dict({"input": [first], "label": [0]}) for first in ("a", "ab")}
    hashes = {content_hash(rows[first], [label], "text-classification") for first, label in (("a", "bc"), ("ab", "c"))}
    assert len(hashes) == 2


def test_a_folder_of_images_by_class_is_an_image_task(tmp_path):
    for i in range(20):
        (tmp_path / "cat").mkdir(exist_ok=True)
        (tmp_path / "dog").mkdir(exist_ok=True)
        Image.new("L", (8, 8), i).save(tmp_path / ("cat", "dog")[i % 2] / f"{i}.png")
    data = load_data(DataSpec(path=str(tmp_path)))
    assert (data.task, data.label_names) == ("image-classification", ("cat", "dog"))
    assert data.train.features["input"] == datasets.Image(decode=False)
    before = data.hashes["test"]
    Image.new("L", (8, 8), 200).save(data.test[0]["input"]["path"])
    assert load_data(DataSpec(path=str(tmp_path))).hashes["test"] != before


def test_numbered_labels_keep_the_order_of_their_numbers(tmp_path):
    path = write_table(tmp_path / "a.csv", classes=("10", "9", "2"))
    assert load_data(DataSpec(path=path)).label_names == ("2", "9", "10")


def test_the_flags_leave_rows_out_and_say_so(tmp_path):
    path = tmp_path / "a.csv"
    write_table(path)
    path.write_text(path.read_text() + ",a\nonly one,rare\n")
    with pytest.raises(DataError, match=r"row 61 is empty.*--drop-empty"):
        load_data(DataSpec(path=str(path)))
    with pytest.raises(DataError, match=r"class 'rare' has 1 example; 3 are needed.*--drop-rare"):
        load_data(DataSpec(path=str(path), drop_empty=True))
    data = load_data(DataSpec(path=str(path), drop_empty=True, drop_rare=True))
    assert sum(len(data.part(split)) for split in SPLITS) == 60
    assert data.label_names == ("a", "b", "c")
    assert any("row 61 is empty; left out" in note for note in data.notes)
    assert any("'rare' (1)" in note for note in data.notes)


def test_a_class_with_two_examples_is_enough_where_one_part_is_missing(folder):
    (folder / "validation.csv").unlink()
    with open(folder / "train.csv", "a") as file:
        file.write("one,d\ntwo,d\n")
    data = load_data(DataSpec(path=str(folder)))
    d = data.label_names.index("d")
    assert (data.train["label"][:].count(d), data.validation["label"][:].count(d)) == (1, 1)


def test_progress_bars_are_off_while_loading_and_as_before_after(table):
    datasets.enable_progress_bars()
    load_data(DataSpec(path=table))
    assert not datasets.are_progress_bars_disabled()
    with pytest.raises(DataError):
        load_data(DataSpec(path="./nothing.csv"))
    assert not datasets.are_progress_bars_disabled()


def test_a_negative_split_seed_is_refused(table):
    with pytest.raises(PlanError, match="split_seed=-1 is negative; use 0"):
        load_data(DataSpec(path=table, split_seed=-1))


@pytest.fixture
def uneven(tmp_path):
    """240 rows: half of class a, a third of b, a sixth of c."""
    return load_data(DataSpec(path=write_table(tmp_path / "a.csv", classes="aaabbc", rows=240)))


def test_subsets_are_stratified_and_lie_inside_larger_ones(uneven):
    labels = np.asarray(uneven.train["label"][:])
    smaller: set[int] = set()
    for size in (3, 6, 12, 60, len(uneven.train)):
        rows = subset_rows(uneven, size, seed=5)["train"]
        counts = Counter(labels[rows].tolist())
        assert len(set(rows.tolist())) == size
        for label, share in enumerate((1 / 2, 1 / 3, 1 / 6)):
            assert abs(counts[label] - share * size) <= 1
            assert counts[label] >= 1
        assert smaller <= set(rows.tolist())
        smaller = set(rows.tolist())


def test_a_subset_has_no_more_validation_than_training_rows(uneven):
    rows = subset_rows(uneven, 12, seed=0)["validation"]
    assert len(rows) == 12
    assert set(np.asarray(uneven.validation["label"][:])[rows].tolist()) == {0, 1, 2}
    assert len(subset_rows(uneven, 100, seed=0)["validation"]) == len(uneven.validation)


def test_a_subset_depends_on_its_seed_alone(uneven):
    first, again, other = (subset_rows(uneven, 12, seed)["train"].tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_without_a_size_all_rows_are_used(uneven):
    rows = subset_rows(uneven, None, seed=0)
    assert rows["train"].tolist() == list(range(156))
    assert rows["validation"].tolist() == list(range(36))


@pytest.mark.parametrize(
    ("size", "words"),
    [(157, "train_size=157 is more than the 156 training rows"), (2, "train_size=2 is less than one")],
)
def test_a_subset_that_cannot_be_is_refused(uneven, size, words):
    with pytest.raises(PlanError, match=words):
        subset_rows(uneven, size, seed=0)
