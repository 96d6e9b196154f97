"""One order out of several: the mean of the ranks (Borda count), and how far the estimators agree.

Their scores have different units and none is the best everywhere, so only their orders are combined. Source: Borda;
Kendall & Babington Smith 1939, "The problem of m rankings", for W.
"""

import numpy as np
from numpy.typing import ArrayLike

ROUNDING = 9  # decimals below which two scores are the same


def ranks(scores: ArrayLike) -> np.ndarray:
    """Ranks of `scores`, (items, estimators), within each column: 1 is the highest, equal scores share their mean.

    Example:
        >>> ranks([[0.9], [0.8], [0.8], [0.1]])[:, 0].tolist()
        [1.0, 2.5, 2.5, 4.0]
    """
    from scipy.stats import rankdata

    result: np.ndarray = rankdata(-np.round(np.asarray(scores, dtype=np.float64), ROUNDING), axis=0)
    return result


def mean_ranks(scores: ArrayLike) -> np.ndarray:
    """(items,) mean over the estimators of `ranks`; the lowest is best.

    Example:
        >>> mean_ranks([[0.9, 3.0], [0.8, 4.0], [0.1, 1.0]]).tolist()
        [1.5, 1.5, 3.0]
    """
    result: np.ndarray = ranks(scores).mean(axis=1)
    return result


def agreement(scores: ArrayLike) -> float | None:
    """Kendall's W of the estimators: 1 where all orders are the same, near 0 where they have nothing in common.

    None for fewer than three items, or where no estimator tells them apart. Corrected for ties.

    Example:
        >>> agreement([[0.9, 30.0], [0.8, 20.0], [0.1, 10.0]])
        1.0
    """
    by_item = ranks(scores)
    items, judges = by_item.shape
    if items < 3:
        return None
    spread = float(((by_item.sum(axis=1) - judges * (items + 1) / 2) ** 2).sum())
    sizes = [np.unique(column, return_counts=True)[1] for column in by_item.T]
    ties = sum(int((size**3 - size).sum()) for size in sizes)
    most = judges**2 * (items**3 - items) - judges * ties
    return 12.0 * spread / most if most else None
