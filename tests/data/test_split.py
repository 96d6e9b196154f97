"""Stratified splits and orders, checked by counting."""

from collections import Counter

import numpy as np
import pytest

from hf_transfer_kit.data.split import stratified_order, stratified_split

UNEVEN = [0] * 40 + [1] * 23 + [2] * 7 + [3] * 3
SHARES = {"test": 0.2, "validation": 0.15}


def labels_in_random_order(seed=0):
    return np.random.default_rng(seed).permutation(UNEVEN).tolist()


def test_every_row_is_in_exactly_one_part():
    stay, parts = stratified_split(labels_in_random_order(), SHARES, seed=0)
    assert sorted([*stay, *parts["test"], *parts["validation"]]) == list(range(len(UNEVEN)))


@pytest.mark.parametrize("seed", range(5))
def test_each_class_is_divided_like_the_whole_within_one_row(seed):
    labels = labels_in_random_order(seed)
    _, parts = stratified_split(labels, SHARES, seed)
    for name, share in SHARES.items():
        counts = Counter(labels[row] for row in parts[name])
        for label, total in Counter(labels).items():
            assert abs(counts[label] - share * total) < 1, (name, label)


def test_parts_have_the_size_of_their_share_where_classes_are_large():
    labels = [0] * 333 + [1] * 334 + [2] * 333
    stay, parts = stratified_split(labels, SHARES, seed=0)
    assert (len(parts["test"]), len(parts["validation"]), len(stay)) == (200, 150, 650)


def test_a_class_of_three_has_one_row_in_each_of_three_parts():
    labels = [0, 0, 0, 1, 1, 1]
    stay, parts = stratified_split(labels, SHARES, seed=3)
    for rows in (stay, parts["test"], parts["validation"]):
        assert Counter(labels[row] for row in rows) == {0: 1, 1: 1}


def test_large_shares_leave_one_row_of_each_class_to_train_on():
    stay, parts = stratified_split([0, 0, 0, 1, 1, 1], {"test": 0.6, "validation": 0.3}, seed=0)
    assert [len(stay), len(parts["test"]), len(parts["validation"])] == [2, 2, 2]


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    labels = labels_in_random_order()
    first, again, other = (stratified_split(labels, SHARES, seed)[1]["test"].tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_no_shares_leave_all_rows():
    stay, parts = stratified_split([1, 0, 1], {}, seed=0)
    assert stay.tolist() == [0, 1, 2]
    assert parts == {}


def test_every_beginning_of_the_order_is_stratified_within_about_one_row():
    labels = labels_in_random_order()
    order = stratified_order(labels, seed=0)
    totals = Counter(labels)
    assert sorted(order) == list(range(len(labels)))
    for size in range(len(totals), len(labels) + 1):
        counts = Counter(labels[row] for row in order[:size])
        assert set(counts) == set(totals), size
        for label, total in totals.items():
            assert abs(counts[label] - size * total / len(labels)) <= 1.5, (size, label)


def test_the_order_depends_on_the_seed_and_on_nothing_else():
    labels = labels_in_random_order()
    first, again, other = (stratified_order(labels, seed).tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other
