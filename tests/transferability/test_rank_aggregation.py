"""Ranks and their agreement, by hand."""

import numpy as np
import pytest

from hf_transfer_kit.transferability.rank_aggregation import agreement, mean_ranks, ranks


def test_equal_scores_share_their_rank():
    assert ranks([[3.0], [1.0], [3.0], [2.0]])[:, 0].tolist() == [1.5, 4.0, 1.5, 3.0]


def test_rounding_does_not_break_a_tie():
    assert ranks([[0.1 + 0.2], [0.3]])[:, 0].tolist() == [1.5, 1.5]


def test_only_the_order_counts():
    scores = np.array([[0.9, 10.0, 1.0], [0.8, 30.0, 2.0], [0.7, 20.0, 0.0]])
    np.testing.assert_array_equal(mean_ranks(scores), mean_ranks(scores * [1, 1000, 1] - [0, 5, 9]))


def test_agreement_by_hand():
    # Ranks (1, 2, 3), (1, 3, 2): sums 2, 5, 5 around 4, spread 4 + 1 + 1; W = 12 * 6 / (4 * 24)
    assert agreement([[9.0, 9.0], [8.0, 7.0], [7.0, 8.0]]) == pytest.approx(0.75)
    assert agreement([[9.0, 1.0], [8.0, 2.0], [7.0, 3.0]]) == pytest.approx(0.0)


def test_two_items_or_no_differences_have_no_agreement():
    assert agreement([[1.0, 1.0], [2.0, 2.0]]) is None
    assert agreement([[1.0, 1.0]] * 3) is None
