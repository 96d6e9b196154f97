"""Distances to the training rows, by hand and at their ends."""

import numpy as np
import pytest

from hf_transfer_kit.errors import DataError
from hf_transfer_kit.transferability.out_of_distribution import out_of_distribution


def test_scores_are_cosine_distances_by_hand():
    training = np.array([[1.0, 0.0], [0.0, 2.0]])
    found = out_of_distribution(training, np.array([[3.0, 0.0], [-1.0, 0.0]]), neighbours=1)

    assert found.scores == pytest.approx([0.0, 1.0])  # a copy; then orthogonal to the nearest
    assert found.threshold == pytest.approx(1.0)


def test_the_usual_share_of_like_rows_is_outside():
    draw = np.random.default_rng(0)
    training, like = (draw.normal(size=(1000, 6)) + 1.0 for _ in range(2))
    assert out_of_distribution(training, like).share_outside == pytest.approx(0.05, abs=0.03)


def test_other_rows_are_outside():
    draw = np.random.default_rng(0)
    training = draw.normal(size=(200, 20)) * 0.2 + np.eye(20)[0]
    other = draw.normal(size=(200, 20)) * 0.2 + np.eye(20)[1]
    assert out_of_distribution(training, other).share_outside > 0.95


def test_other_layers_are_refused():
    with pytest.raises(DataError, match="the same layer of one model"):
        out_of_distribution(np.ones((5, 2)), np.ones((5, 3)))
