"""Classes: how many examples each needs, how they are ordered, and that all parts have the same."""

import numpy as np
import pytest
from datasets import Dataset

from hf_transfer_kit.data.labels import drop_rare_classes, label_names_of
from hf_transfer_kit.data.rows import LabelledPart
from hf_transfer_kit.errors import DataError


def part(labels, split="train", class_names=None):
    inputs = Dataset.from_dict({"input": [f"text {i}" for i in range(len(labels))]})
    rows = np.arange(len(labels))
    return LabelledPart(
        split=split, origin=f"{split}.csv", inputs=inputs, labels=list(labels), rows=rows, class_names=class_names
    )


def names_of(*parts):
    return label_names_of(parts, [])


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["b", "a", "c"], ("a", "b", "c")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["1.5", "1", "0.5"], ("0.5", "1", "1.5")),
        (["b", "2", "10"], ("2", "10", "b")),
        (["inf", "a"], ("a", "inf")),
    ],
)
def test_labels_are_sorted_by_name_and_numbers_by_value(labels, names):
    assert names_of(part(labels)) == names


def test_a_numbering_of_the_source_is_kept_without_its_empty_classes():
    notes = []
    names = label_names_of([part(["low", "high"], class_names=("none", "low", "mid", "high"))], notes)
    assert names == ("low", "high")
    assert notes == ["classes without examples left out: none, mid"]


def test_one_class_is_refused():
    with pytest.raises(DataError, match=r"train.csv: all rows have the label 'a'; add examples of another class"):
        names_of(part(["a", "a"]))


def test_labels_unknown_to_train_are_named_and_nothing_is_dropped():
    with pytest.raises(DataError) as error:
        names_of(part(["a", "b"]), part(["a", "oos", "oos", "z"], split="test"))
    assert "test.csv has labels that train.csv has not: 'oos' (2), 'z' (1); add training examples" in str(error.value)


def test_a_rare_class_is_named_with_its_count_and_the_ways_out():
    with pytest.raises(DataError) as error:
        drop_rare_classes([part(list("aaabbbcd"))], 3, False, [])
    message = str(error.value)
    for words in ("class 'c' has 1 example,", "and 1 more classes have too few; 3 are needed", "merge", "--drop-rare"):
        assert words in message


def test_as_many_examples_as_parts_are_enough():
    parts = [part(list("aaabbb"))]
    assert drop_rare_classes(parts, 3, False, []) == parts


def test_dropping_rare_classes_takes_them_out_of_every_part():
    notes = []
    train, test = drop_rare_classes([part(list("aabbc")), part(list("cab"), split="test")], 2, True, notes)
    assert train.rows.tolist() == [0, 1, 2, 3]
    assert test.rows.tolist() == [1, 2]
    assert notes == ["classes with fewer than 2 examples left out: 'c' (1)"]


def test_a_part_of_rare_classes_alone_is_an_error():
    with pytest.raises(DataError, match=r"test.csv: no row is left without the rare classes"):
        drop_rare_classes([part(list("aabbc")), part(["c"], split="test")], 2, True, [])
