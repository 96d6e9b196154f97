"""Shift between two sets of inputs, on a tiny model."""

import csv

import pytest

from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.transferability.shift import Shift, measure_shift


@pytest.fixture(scope="module")
def other_words(tmp_path_factory):
    """Texts of one word each, which the reviews are not."""
    path = tmp_path_factory.mktemp("other") / "other.csv"
    words = ["film", "plot", "story", "music", "acting"]
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = [(" ".join([word] * (1 + i)), str(i % 2)) for word in words for i in range(12)]
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def test_other_data_is_told_from_training_and_training_from_itself_is_not(text_csv, other_words, tiny_bert):
    model, ours = ModelSpec(name=str(tiny_bert)), DataSpec(path=str(text_csv))
    same, other = (measure_shift(ours, DataSpec(path=str(p)), model, "2") for p in (text_csv, other_words))

    assert same.distance.distance.value == 0.0
    assert same.outside.value < 0.05  # every input has its copy in training
    assert other.distance.distance.low > 0.5
    assert "like the training data" in same.sentence
    assert "other data" in other.sentence
    assert Shift.from_mapping(other.to_mapping()) == other


def test_other_tasks_and_layers_are_refused(text_csv, image_folder, tiny_bert):
    model, ours = ModelSpec(name=str(tiny_bert)), DataSpec(path=str(text_csv))
    with pytest.raises(DataError, match="is for image-classification"):
        measure_shift(ours, DataSpec(path=str(image_folder)), model, "2")
    with pytest.raises(PlanError, match=r"layer '9' of .* does not exist; it has 0, 1, 2, 3, mean"):
        measure_shift(ours, ours, model, "9")
