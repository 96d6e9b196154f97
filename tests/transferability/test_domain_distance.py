"""The proxy A-distance: its ends, and what it is between them."""

import numpy as np
import pytest
from scipy.stats import norm

from hf_transfer_kit.errors import DataError
from hf_transfer_kit.transferability.domain_distance import proxy_a_distance

DRAW = np.random.default_rng(0)


def test_draws_from_one_source_have_no_distance():
    found = proxy_a_distance(DRAW.normal(size=(300, 5)), DRAW.normal(size=(300, 5)))
    assert found.distance.value < 0.3
    assert found.distance.low == 0.0


def test_sets_apart_have_the_distance_of_the_best_line():
    first, second = DRAW.normal(size=(2000, 3)), DRAW.normal(size=(2000, 3)) + np.array([2.0, 0.0, 0.0])
    error = norm.cdf(-1.0)  # two unit normals, 2 apart, cut half-way
    found = proxy_a_distance(first, second).distance

    assert found.low <= 2 * (1 - 2 * error) <= found.high


def test_the_smaller_set_decides_how_many_rows_are_compared():
    found = proxy_a_distance(DRAW.normal(size=(20, 3)), DRAW.normal(size=(500, 3)) + 50)
    assert found.rows == 20
    assert found.distance.value == 2.0


def test_it_does_not_matter_which_set_is_first():
    first, second = DRAW.normal(size=(50, 3)), DRAW.normal(size=(50, 3)) + 1.0
    assert proxy_a_distance(first, second).distance.value == pytest.approx(
        proxy_a_distance(second, first).distance.value
    )


def test_few_rows_and_other_widths_are_refused():
    with pytest.raises(DataError, match="the smaller one has 7"):
        proxy_a_distance(np.ones((7, 2)), np.ones((9, 2)))
    with pytest.raises(DataError, match="widths 2 and 3 differ"):
        proxy_a_distance(np.ones((9, 2)), np.ones((9, 3)))
