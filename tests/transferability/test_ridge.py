"""Ridge leave-one-out against one fit per row, and against the probe that chooses layers."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from hf_transfer_kit import probe
from hf_transfer_kit.transferability.eigen import decompose
from hf_transfer_kit.transferability.ridge import ridge_leave_one_out


def task(rows, width, classes=3, seed=0):
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    return draw.normal(size=(rows, width)) + np.eye(classes)[labels] @ draw.normal(size=(classes, width)), labels


@pytest.mark.parametrize(("rows", "width"), [(40, 6), (15, 40)])
def test_every_row_is_answered_by_a_fit_without_it(rows, width):
    x, labels = task(rows, width)
    answers = ridge_leave_one_out(decompose(x), labels, 3)
    targets = np.eye(3)[labels]
    penalty = answers.strength * ((x - x.mean(axis=0)) ** 2).sum() / width
    scores = np.stack([
        Ridge(alpha=penalty).fit(np.delete(x, row, 0), np.delete(targets, row, 0)).predict(x[row : row + 1])[0]
        for row in range(rows)
    ])  # fmt: skip

    assert answers.hits.tolist() == (scores.argmax(axis=1) == labels).tolist()
    assert answers.squared_error == pytest.approx(((scores - targets) ** 2).mean(), rel=1e-6)


@pytest.mark.parametrize(("rows", "width"), [(40, 6), (15, 40)])
def test_it_is_the_probe_that_chooses_layers(rows, width):
    x, labels = task(rows, width, seed=1)
    ours, theirs = ridge_leave_one_out(decompose(x), labels, 3), probe.ridge_leave_one_out(x, labels, 3)

    assert (ours.accuracy, ours.strength) == (theirs.accuracy, theirs.strength)
    assert ours.squared_error == pytest.approx(theirs.squared_error, rel=1e-6)


def test_rotation_scale_and_order_change_nothing():
    x, labels = task(40, 6)
    draw = np.random.default_rng(1)
    rotation, order = np.linalg.qr(draw.normal(size=(6, 6)))[0], draw.permutation(40)
    plain = ridge_leave_one_out(decompose(x), labels, 3).hits

    for changed in (x @ rotation, 1000 * x, x + 7.0):
        np.testing.assert_array_equal(ridge_leave_one_out(decompose(changed), labels, 3).hits, plain)
    shuffled = ridge_leave_one_out(decompose(x[order]), labels[order], 3).hits
    np.testing.assert_array_equal(shuffled, plain[order])


def test_constant_features_give_the_majority():
    labels = np.array([0] * 15 + [1] * 5)
    hits = ridge_leave_one_out(decompose(np.ones((20, 3))), labels, 2).hits
    assert hits.tolist() == [True] * 15 + [False] * 5
