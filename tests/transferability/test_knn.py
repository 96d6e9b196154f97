"""Nearest neighbours against a loop over every row, and what must not matter."""

from collections import Counter

import numpy as np
import pytest

from hf_transfer_kit.transferability.knn import knn_leave_one_out


def by_loop(x, labels, k):
    x = x - x.mean(axis=0)
    hits = []
    for row in range(len(x)):
        cosine = [
            (x[row] @ x[other] / np.linalg.norm(x[row]) / np.linalg.norm(x[other]), other)
            for other in range(len(x)) if other != row
        ]  # fmt: skip
        nearest = sorted(cosine, reverse=True)[:k]
        votes = Counter(labels[other] for _, other in nearest)
        nearness = Counter()
        for similarity, other in nearest:
            nearness[labels[other]] += similarity
        hits.append(max(votes, key=lambda label: (votes[label], nearness[label])) == labels[row])
    return hits


@pytest.mark.parametrize(("rows", "width", "k"), [(40, 6, 5), (12, 40, 3), (30, 4, 1)])
def test_it_is_what_a_loop_finds(rows, width, k):
    draw = np.random.default_rng(rows)
    labels = np.arange(rows) % 3
    x = draw.normal(size=(rows, width)) + 0.8 * np.eye(3)[labels] @ draw.normal(size=(3, width)) + 2.0

    assert knn_leave_one_out(x, labels, 3, neighbours=k).tolist() == by_loop(x, labels, k)


def test_the_order_of_rows_does_not_matter_even_among_copies():
    draw = np.random.default_rng(0)
    x = np.repeat(draw.normal(size=(10, 4)), 6, axis=0)
    labels = draw.integers(0, 2, 60)
    order = draw.permutation(60)

    np.testing.assert_array_equal(
        knn_leave_one_out(x, labels, 2)[order], knn_leave_one_out(x[order], labels[order], 2)
    )


def test_rotation_and_scale_change_nothing():
    draw = np.random.default_rng(0)
    labels = np.arange(40) % 2
    x = draw.normal(size=(40, 5)) + labels[:, None]
    rotation = np.linalg.qr(draw.normal(size=(5, 5)))[0]
    plain = knn_leave_one_out(x, labels, 2)

    np.testing.assert_array_equal(plain, knn_leave_one_out(x @ rotation, labels, 2))
    np.testing.assert_array_equal(plain, knn_leave_one_out(100 * x, labels, 2))


def test_constant_features_give_the_majority():
    labels = np.array([0] * 15 + [1] * 5)
    assert knn_leave_one_out(np.full((20, 3), 0.1), labels, 2).tolist() == [True] * 15 + [False] * 5


def test_fewer_rows_than_neighbours_are_no_mistake():
    assert knn_leave_one_out(np.array([[1.0], [-1.0]]), np.array([0, 1]), 2).tolist() == [False, False]
