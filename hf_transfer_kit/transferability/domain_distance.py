"""Proxy A-distance: how well a linear classifier tells two sets of inputs apart.

    distance = 2 (1 - 2 error)        0: not at all, 2: always

The error is leave-one-out on equally many rows of each set. It comes near 2 long before two sets have nothing in
common, so it warns that data differs; it does not say how much that will cost.

Source: Ben-David et al. 2007, "Analysis of Representations for Domain Adaptation".
"""

from dataclasses import dataclass

import numpy as np

from hf_transfer_kit.comparison.estimate import Estimate, accuracy_of
from hf_transfer_kit.errors import DataError
from hf_transfer_kit.metrics import bootstrap_accuracies
from hf_transfer_kit.probe import ridge_leave_one_out

FEWEST = 8  # rows of each set


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainDistance:
    """The proxy A-distance with its 95% interval, on `rows` rows of each set."""

    distance: Estimate
    rows: int


def proxy_a_distance(first: np.ndarray, second: np.ndarray, seed: int = 0) -> DomainDistance:
    """The distance of two sets of features, (rows, width) of the same layer of the same model.

    Of the larger set, as many rows as the smaller one has are drawn with `seed`.

    Raises:
        DataError: fewer than 8 rows, or different widths.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> near, far = draw.normal(size=(50, 3)), draw.normal(size=(50, 3)) + 9
        >>> proxy_a_distance(near, far).distance.value
        2.0
    """
    rows = min(len(first), len(second))
    if rows < FEWEST:
        raise DataError(f"a distance needs {FEWEST} rows of each set; the smaller one has {rows}.")
    if first.shape[1] != second.shape[1]:
        raise DataError(f"widths {first.shape[1]} and {second.shape[1]} differ; take the same layer of one model.")
    draw = np.random.default_rng(seed)
    both = np.concatenate([each[draw.permutation(len(each))[:rows]] for each in (first, second)])
    hits = ridge_leave_one_out(both, np.repeat([0, 1], rows), 2).hits[None]
    right = accuracy_of(hits, bootstrap_accuracies([hits], seed=seed)[0])
    value, low, high = (max(0.0, 4.0 * share - 2.0) for share in (right.value, right.low, right.high))
    return DomainDistance(distance=Estimate(value=value, low=low, high=high), rows=rows)
