"""The shrunk H-score against scikit-learn's shrinkage and an explicit inverse."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from hf_transfer_kit.eigen import decompose
from hf_transfer_kit.transferability.h_score import h_score, shrinkage


def task(rows, width, classes=3, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.arange(rows) % classes)
    x = draw.normal(size=(rows, width)) @ draw.normal(size=(width, width))
    return x + 2.0 * np.eye(classes)[labels] @ draw.normal(size=(classes, width)), labels


def direct(x, labels):
    covariance, amount = ledoit_wolf(x)
    centred = x - x.mean(axis=0)
    means = np.stack([centred[labels == label].mean(axis=0) for label in labels])  # of each row's class
    return (1 - amount) * np.trace(np.linalg.inv(covariance) @ (means.T @ means / len(x)))


@pytest.mark.parametrize(("rows", "width"), [(60, 6), (12, 40)])
def test_it_is_the_trace_written_down(rows, width):
    x, labels = task(rows, width)
    eigen = decompose(x)

    assert shrinkage(eigen) == pytest.approx(ledoit_wolf(x)[1], abs=1e-9)
    assert h_score(eigen, labels, 3) == pytest.approx(direct(x, labels), rel=1e-8)


def test_fp32_features_give_what_their_fp64_copies_do():
    x, labels = task(200, 40)
    fast, sure = (h_score(decompose(x.astype(kind)), labels, 3) for kind in (np.float32, np.float64))
    assert fast == pytest.approx(sure, rel=1e-5)


def test_rotation_scale_and_order_change_nothing():
    x, labels = task(40, 6)
    draw = np.random.default_rng(1)
    rotation = np.linalg.qr(draw.normal(size=(6, 6)))[0]
    order, names = draw.permutation(40), draw.permutation(3)
    whole = h_score(decompose(x), labels, 3)

    for changed, changed_labels in (
        (x @ rotation, labels), (1000 * x, labels), (x + 7.0, labels), (x[order], labels[order]), (x, names[labels]),
    ):  # fmt: skip
        assert h_score(decompose(changed), changed_labels, 3) == pytest.approx(whole, rel=1e-8)


def test_it_lies_between_nothing_and_the_classes_less_one():
    labels = np.arange(30) % 3
    assert 1.5 < h_score(decompose(np.eye(3)[labels] * 100), labels, 3) <= 2.0
    assert h_score(decompose(np.ones((30, 4))), labels, 3) == 0.0


def test_one_class_has_nothing_between_classes():
    x, _ = task(20, 4)
    assert h_score(decompose(x), np.zeros(20, dtype=int), 1) == pytest.approx(0.0, abs=1e-12)
