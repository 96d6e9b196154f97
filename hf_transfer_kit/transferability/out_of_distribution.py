"""How far new inputs lie from the training rows, by the nearest of them; no labels and no fit.

Source: Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors" (arXiv:2204.06507).
"""

from dataclasses import dataclass

import numpy as np

from hf_transfer_kit.errors import DataError
from hf_transfer_kit.transferability.knn import NEIGHBOURS, unit_rows

USUAL = 0.95  # share of training rows that count as inside


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distances:
    """Distances to the training rows.

    Fields:
        scores: (queries,) 1 less the mean cosine to the 5 nearest training rows, from 0 (a copy) to 2.
        threshold: below which 95% of the training rows lie, each left out of its own neighbours.
    """

    scores: np.ndarray
    threshold: float

    @property
    def share_outside(self) -> float:
        """Share of the queries above the threshold; about 0.05 where they are like the training rows."""
        return float((self.scores > self.threshold).mean())


def out_of_distribution(training: np.ndarray, queries: np.ndarray, neighbours: int = NEIGHBOURS) -> Distances:
    """How far `queries`, (queries, width), lie from `training`, (rows, width), of the same layer.

    Raises:
        DataError: fewer than two training rows, or different widths.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> training = draw.normal(size=(200, 8)) + np.array([4] + [0] * 7)
        >>> bool(out_of_distribution(training, -training).share_outside > 0.9)
        True
    """
    if len(training) < 2 or training.shape[1] != queries.shape[1]:
        raise DataError(
            f"training features {training.shape} and queries {queries.shape}: give two training rows or more, and the "
            "same layer of one model."
        )
    origin = np.zeros(training.shape[1])  # not centred: what all training rows share tells them from other things
    inside, outside = unit_rows(training, origin), unit_rows(queries, origin)
    own = inside @ inside.T
    np.fill_diagonal(own, -np.inf)
    k = min(neighbours, len(training) - 1)
    usual = _mean_distance(own, k)
    return Distances(scores=_mean_distance(outside @ inside.T, k), threshold=float(np.quantile(usual, USUAL)))


def _mean_distance(similarity: np.ndarray, k: int) -> np.ndarray:
    nearest = np.partition(similarity, -k, axis=1)[:, -k:]
    distance: np.ndarray = 1.0 - nearest.mean(axis=1, dtype=np.float64)
    return distance
