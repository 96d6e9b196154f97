"""What differs between the data of two runs, and how each class is answered."""

from dataclasses import replace

import numpy as np
from sklearn.metrics import precision_recall_fscore_support
from synthetic_records import make_record

from hf_transfer_kit.comparison.differences import data_differences, split_of
from hf_transfer_kit.comparison.per_class import per_class

RIGHT = [1] * 12 + [0] * 8


def with_data(record, **settings):
    return replace(record, plan=replace(record.plan, data=replace(record.plan.data, **settings)))


def test_runs_of_one_split_differ_in_nothing_whatever_their_training_size():
    one, other = make_record(RIGHT), make_record([1] * 20, train_size=40, model="hub/other")

    assert data_differences(one, other) == []
    assert split_of(one) == split_of(other)


def test_the_part_and_the_setting_behind_it_are_named():
    one = make_record(RIGHT)
    other = with_data(make_record(RIGHT, test_hash="d" * 64), split_seed=3, path="/home/ann/other.csv")
    said = "; ".join(data_differences(one, other))

    assert "test (20 and 20 rows)" in said and "train" not in said
    assert "seed of the split: 0 and 3" in said
    assert "data: reviews.csv and other.csv" in said and "/home" not in said
    assert split_of(one) != split_of(other)


def test_the_same_settings_on_changed_data_say_so():
    said = data_differences(make_record(RIGHT), make_record(RIGHT, test_hash="d" * 64))

    assert "the data itself has changed" in said[-1]


def test_labels_and_tasks_are_told():
    one = make_record(RIGHT)

    assert data_differences(one, make_record(RIGHT, label_names=("no", "maybe"))) == [
        "the labels: only one has maybe, yes"
    ]
    assert data_differences(one, make_record(RIGHT, label_names=("yes", "no"))) == ["the order of the labels"]
    assert "image-classification" in data_differences(one, make_record(RIGHT, task="image-classification"))[0]


def test_the_scores_of_a_class_are_those_of_scikit_learn():
    record = make_record([1, 0, 1, 1, 0, 1, 1, 1, 0, 0], label_names=("no", "yes"))
    precision, recall, f1, count = precision_recall_fscore_support(record.test.labels, record.test.predictions)
    found = {each.label: each for each in per_class(record)}

    for number, name in enumerate(record.label_names):
        one = found[name]
        assert np.allclose(
            [one.precision, one.recall, one.f1, one.count],
            [precision[number], recall[number], f1[number], count[number]],
        )
    assert [each.f1 for each in per_class(record)] == sorted(each.f1 for each in per_class(record))
