"""k nearest neighbours, leave-one-out: no fit at all, and the best single estimator of the largest study so far.

Neighbours by cosine after centring. Rows exactly as near as the k-th neighbour all vote, so that copies and the order
of the rows do not matter; a tie of votes goes to the class whose voters are nearer.

Source: Sorkhei et al. 2025, "k-NN as a Simple and Effective Estimator of Transferability" (arXiv:2503.18528).
"""

import numpy as np

NEIGHBOURS = 5
SAME = 1e-6  # similarities this close are equal in fp32


def unit_rows(features: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(rows, width), fp32: each row minus `centre`, of length 1; a row at the centre stays 0."""
    x = (features - centre).astype(np.float32)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    floor = 1e-6 * np.linalg.norm(centre)  # a row that never leaves the centre is rounding
    return x / np.where(lengths > floor, lengths, np.inf)


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
    k = min(neighbours, len(x) - 1)
    nearest = np.partition(similarity, -k, axis=1)[:, -k]
    rows, voters = np.nonzero(similarity >= nearest[:, None] - SAME)
    # Nearness only breaks ties: below 5000 voters it never adds up to a vote.
    weights = 1.0 + 0.001 / k * similarity[rows, voters].astype(np.float64)
    votes = np.bincount(rows * n_classes + labels[voters], weights, minlength=len(x) * n_classes)
    hits: np.ndarray = votes.reshape(len(x), n_classes).argmax(axis=1) == labels
    return hits
