"""LogME against the evidence written down directly and searched by brute force over alpha and beta."""

import numpy as np
import pytest
from scipy.optimize import minimize

from hf_transfer_kit.eigen import decompose
from hf_transfer_kit.transferability.log_me import log_me, maximal_log_evidence


def contrasts(rows):
    """(rows - 1, rows): orthonormal, and orthogonal to a constant; takes an intercept out."""
    return np.linalg.svd(np.ones((1, rows)))[2][1:]


def direct_log_evidence(x, y, alpha, beta):
    """log N(y; 0, I / beta + X X' / alpha) of the contrasts of y."""
    q = contrasts(len(x))
    covariance = np.eye(len(x) - 1) / beta + (q @ x) @ (q @ x).T / alpha
    left = q @ y
    return -0.5 * (np.linalg.slogdet(2 * np.pi * covariance)[1] + left @ np.linalg.solve(covariance, left))


def brute_force(x, y):
    """The maximum over alpha and beta, from many starts."""

    def loss(logs):
        alpha, beta = np.exp(np.clip(logs, -25, 25))
        return -direct_log_evidence(x, y, alpha, beta)

    starts = [(a, b) for a in (-4, 3, 10) for b in (1, 4)]
    found = [minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9}) for start in starts]
    return -min(each.fun for each in found)


def task(rows, width, classes, seed=0, signal=1.0):
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    x = draw.normal(size=(rows, width)) * draw.uniform(0.1, 3.0, width)
    x[:, :classes] += signal * np.eye(classes)[labels][:, : min(classes, width)]
    return x + 5.0, labels


@pytest.mark.parametrize(("rows", "width"), [(40, 5), (12, 40), (15, 15)])
@pytest.mark.parametrize("signal", [0.3, 3.0])
def test_it_is_the_maximum_of_the_direct_evidence(rows, width, signal):
    x, labels = task(rows, width, classes=3, signal=signal)
    expected = np.mean([brute_force(x, (labels == c).astype(float)) / (rows - 1) for c in range(3)])

    assert log_me(decompose(x), labels, 3) == pytest.approx(expected, abs=2e-6)


def test_fp32_features_give_what_their_fp64_copies_do():
    x, labels = task(200, 40, classes=3)
    x = (x * np.logspace(0, -3, 40)).astype(np.float32)
    assert log_me(decompose(x), labels, 3) == pytest.approx(log_me(decompose(x.astype(float)), labels, 3), abs=1e-5)


def test_columns_of_noise_lower_it_where_there_are_fewer_rows_than_columns():
    x, labels = task(60, 20, classes=2, signal=3.0)
    noise = np.random.default_rng(1).normal(size=(60, 800))
    scores = [log_me(decompose(np.hstack([x, noise[:, :more]])), labels, 2) for more in (0, 100, 800)]

    assert scores == sorted(scores, reverse=True)


def test_rotation_scale_and_order_change_nothing():
    x, labels = task(30, 8, classes=3)
    draw = np.random.default_rng(2)
    rotation = np.linalg.qr(draw.normal(size=(8, 8)))[0]
    order, names = draw.permutation(30), draw.permutation(3)
    whole = log_me(decompose(x), labels, 3)

    for changed, changed_labels in (
        (x @ rotation, labels), (1000 * x, labels), (x + 7.0, labels), (x[order], labels[order]), (x, names[labels]),
    ):  # fmt: skip
        assert log_me(decompose(changed), changed_labels, 3) == pytest.approx(whole, abs=1e-8)


def test_a_class_does_not_depend_on_those_before_it():
    x, labels = task(30, 8, classes=3)
    y = np.eye(3)[labels] - np.eye(3)[labels].mean(axis=0)
    together = maximal_log_evidence(decompose(x), y)
    alone = [maximal_log_evidence(decompose(x), y[:, [c]])[0] for c in range(3)]

    np.testing.assert_allclose(together, alone, atol=1e-9)


def test_constant_features_have_the_evidence_of_noise_alone():
    labels = np.arange(20) % 2
    y = labels - 0.5
    noise = -0.5 * (np.log(2 * np.pi * (y @ y) / 19) + 1)  # a normal density at its own variance, per contrast

    assert log_me(decompose(np.ones((20, 4))), labels, 2) == pytest.approx(noise)


def test_labels_that_lie_in_the_features_give_a_finite_score():
    labels = np.arange(20) % 2
    assert np.isfinite(log_me(decompose(labels[:, None].astype(float)), labels, 2))


def test_classes_without_rows_do_not_count():
    x, labels = task(30, 8, classes=3)
    assert log_me(decompose(x), labels, 5) == pytest.approx(log_me(decompose(x), labels, 3))
