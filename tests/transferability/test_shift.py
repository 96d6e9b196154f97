"""Shift between two sets of inputs, on a tiny model."""

import csv

import pytest

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.transferability import candidate_features
from hf_transfer_kit.transferability.domain_distance import DomainDistance
from hf_transfer_kit.transferability.ranking import rank
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


@pytest.mark.parametrize(
    ("distance", "low", "said"), [(0.5, 0.06, "like"), (0.5, 0.12, "other"), (1.2, 0.03, "other"), (0.9, 0.0, "like")]
)
def test_a_small_excess_outside_is_usual_between_parts_of_one_data_set(distance, low, said):
    outside = Estimate(value=low + 0.02, low=low, high=low + 0.04)
    apart = DomainDistance(distance=Estimate(value=distance, low=distance, high=distance), rows=100)
    shift = Shift(data="new.csv", model="m", layer="1", distance=apart, outside=outside)
    assert (": other data" in shift.sentence, ": like the training data" in shift.sentence) == (
        said == "other", said == "like",
    )  # fmt: skip


def test_labels_are_not_needed_and_those_there_may_be_all_the_same(text_csv, other_words, tiny_bert, tmp_path):
    model, ours = ModelSpec(name=str(tiny_bert)), DataSpec(path=str(text_csv), label_column="label")
    with open(other_words, newline="", encoding="utf-8") as file:
        words = [text for text, _ in list(csv.reader(file))[1:]]
    found = []
    for name, row in (("labelled", lambda text: (text, "oos")), ("bare", lambda text: (text,))):
        with open(tmp_path / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label")[: len(row(""))], *map(row, words)])
        found.append(measure_shift(ours, DataSpec(path=str(tmp_path / f"{name}.csv")), model, "2"))

    assert found[0].distance == found[1].distance
    assert found[0].distance.distance.low > 0.5


def test_the_features_of_a_ranking_are_used_again(text_csv, other_words, tiny_bert, monkeypatch):
    ours = DataSpec(path=str(text_csv))
    rank(ours, [ModelSpec(name=str(tiny_bert))], random_copies=False)
    passed, extract = [], candidate_features.extract

    def counted(task, network, processor, inputs, **settings):
        passed.append(len(inputs))
        return extract(task, network, processor, inputs, **settings)

    monkeypatch.setattr(candidate_features, "extract", counted)
    measure_shift(ours, DataSpec(path=str(other_words)), ModelSpec(name=str(tiny_bert)), "2")

    assert passed == [60]  # the other inputs alone


def test_other_tasks_and_layers_are_refused(text_csv, image_folder, tiny_bert):
    model, ours = ModelSpec(name=str(tiny_bert)), DataSpec(path=str(text_csv))
    with pytest.raises(DataError, match="holds no texts to compare with"):
        measure_shift(ours, DataSpec(path=str(image_folder)), model, "2")
    with pytest.raises(PlanError, match=r"layer '9' of .* does not exist; it has 0, 1, 2, 3, mean"):
        measure_shift(ours, ours, model, "9")
