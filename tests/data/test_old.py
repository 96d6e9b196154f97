"""Old labels beside new ones: the union by hand, domain-incremental data, and what does not go together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from two_tasks import NEW, OLD, two_tasks, write_task

from hf_transfer_kit.data.labelled import load_data, subset_rows
from hf_transfer_kit.data.old import load_with_old
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import DataSpec


def names_of(data, part: str) -> list[str]:
    return [data.label_names[number] for number in data.part(part)["label"]]


def test_every_row_keeps_its_label_name_and_the_hashes_stay(tmp_path: Path):
    new_spec, old_spec = two_tasks(tmp_path)
    new, old = load_with_old(new_spec, old_spec)
    assert new.label_names == old.label_names == ("bad", "good", "sound", "tale")
    for spec, data, own in ((new_spec, new, {2, 3}), (old_spec, old, {0, 1})):
        alone = load_data(spec)
        assert data.hashes == alone.hashes
        for part in ("train", "validation", "test"):
            assert names_of(data, part) == names_of(alone, part)
            assert set(data.part(part)["label"]) == own
            assert data.part(part)["input"][:] == alone.part(part)["input"][:]


def test_the_same_name_is_the_same_class(tmp_path: Path):
    new = write_task(tmp_path / "new.csv", {"good": ("story",), "bad": ("plot",), "average": ("film",)}, 60)
    new_data, old_data = load_with_old(new, write_task(tmp_path / "old.csv", OLD, 60))
    assert new_data.label_names == ("bad", "good", "average")
    film = [i for i, text in enumerate(new_data.train["input"]) if "film" in text.split()]
    assert film and {new_data.train["label"][i] for i in film} == {2}
    good = [i for i, text in enumerate(old_data.train["input"]) if "great" in text.split()]
    assert good and {old_data.train["label"][i] for i in good} == {1}


def test_a_subset_needs_an_example_of_each_new_class_only(tmp_path: Path):
    new, _ = load_with_old(*two_tasks(tmp_path))
    rows = subset_rows(new, train_size=2, seed=0)
    assert sorted(np.asarray(new.train["label"])[rows["train"]]) == [2, 3]
    with pytest.raises(PlanError, match="train_size=1 is less than one example for each of the 2 classes; use 2"):
        subset_rows(new, train_size=1, seed=0)


def test_old_pictures_beside_new_texts_are_refused(tmp_path: Path, image_folder: Path):
    new = replace(write_task(tmp_path / "new.csv", NEW, 60), max_length=128)
    with pytest.raises(DataError, match=r"new\.csv' is for text-classification, the old data .* same task"):
        load_with_old(new, DataSpec(path=str(image_folder)))


def test_texts_cut_at_different_lengths_are_refused(tmp_path: Path):
    new, old = two_tasks(tmp_path)
    with pytest.raises(PlanError, match=r"data\.max_length=16 and old_data\.max_length=99 differ"):
        load_with_old(new, replace(old, max_length=99))
