"""k nearest neighbours, leave-one-out: no fit at all, and the best single estimator of the largest study so far.

Neighbours by cosine after centring. Rows exactly as near as the k-th neighbour all vote, so that copies and the order
of the rows do not matter; a tie of votes goes to the class whose voters are nearer.

Source: Sorkhei et al. 2025, "k-NN as a Simple and Effective Estimator of Transferability" (arXiv:2503.18528).
"""

import numpy as np

NEIGHBOURS = 5
SAME = 1e-6  # similarities this close are equal in fp32
BLOCK = 256  # rows at a time, so that copies of their similarities are small


def unit_rows(features: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(rows, width), fp32: each row minus `centre`, of length 1; a row at the centre stays 0."""
    x = np.subtract(features, centre, dtype=np.float32, casting="same_kind")
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    floor = 1e-6 * np.linalg.norm(centre)  # a row that never leaves the centre is rounding
    x /= np.where(lengths > floor, lengths, np.inf)
    return x


def knn_leave_one_out(
    features: np.ndarray, labels: np.ndarray, n_classes: int, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """(rows,) bool: whether the nearest other rows vote for a row's own class.

    Args:
        features: (rows, width).
        labels: (rows,) class numbers below `n_classes`.

    Example:
        >>> x = np.array([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]])
        >>> knn_leave_one_out(x, np.array([0, 0, 1, 1]), 2, neighbours=1).tolist()
        [True, True, True, True]
    """
    x = unit_rows(features, features.mean(axis=0, dtype=np.float64))
    similarity = x @ x.T
    np.fill_diagonal(similarity, -np.inf)
    k, hits = min(neighbours, len(x) - 1), np.empty(len(x), dtype=bool)
    for start in range(0, len(x), BLOCK):
        some = slice(start, start + BLOCK)
        hits[some] = _votes(similarity[some], labels, n_classes, k).argmax(axis=1) == labels[some]
    return hits


def _votes(similarity: np.ndarray, labels: np.ndarray, n_classes: int, k: int) -> np.ndarray:
    """(queries, n_classes) votes of the k nearest, and of those as near, by `similarity`, (queries, rows)."""
    queries, rows = similarity.shape
    nearest = np.partition(similarity, -k, axis=1)[:, -k]
    asked, voters = np.divmod(np.flatnonzero(similarity >= nearest[:, None] - np.float32(SAME)), rows)
    # Nearness only breaks ties: below 5000 voters it never adds up to a vote.
    weights = 1.0 + 0.001 / k * similarity[asked, voters].astype(np.float64)
    votes = np.bincount(asked * n_classes + labels[voters], weights, minlength=queries * n_classes)
    return votes.reshape(queries, n_classes)
