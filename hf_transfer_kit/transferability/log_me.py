"""LogME: the log evidence of the labels under Bayesian linear regression on the features, all classes at once.

    y | w ~ N(X w, 1/beta),   w ~ N(0, 1/alpha),   score = max over alpha, beta of log p(y) / n

Each class's one-hot column is a y. Features and labels are centred and n is one less than the rows, which is a flat
prior on an intercept. With t = alpha / beta the best beta is known in closed form, and one smooth curve in log t is
left. Its top is found on a grid and then by Newton's method: no fixed-point iteration that may not have converged, and
no start that a class inherits from the one before.

With z = basis' y and k eigenvalues s above zero:

    log p = n/2 log(n / R) + 1/2 sum_k log(t / (t + s_k)) - n/2 (1 + log 2 pi)
    R     = |y|^2 - sum_k z_k^2 s_k / (t + s_k)

There is one log t for each s. Where there are fewer rows than features, width/2 log t with only k terms against it, as
both public implementations have it, rewards width: columns of noise then raise the score.

Source: You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning" (arXiv:2102.11005);
Bishop 2006, "Pattern Recognition and Machine Learning", equation 3.86.
"""

import numpy as np

from hf_transfer_kit.eigen import Eigen, class_sums

STEP = 0.5  # of the grid in log t; the curve changes over about 1
NEWTON_STEPS = 3  # from the best point of the grid, never further than to its neighbours
LEAST_NOISE = 1e-10  # of a class's variance; labels that lie exactly in the features would have evidence without end


def log_me(eigen: Eigen, labels: np.ndarray, n_classes: int) -> float:
    """The mean over the classes of the maximal log evidence per row, in nats; higher is better.

    Only for comparing features of the same rows and labels. Classes without rows do not count.

    Args:
        labels: (rows,) class numbers below `n_classes`; two classes at least.

    Example:
        >>> from hf_transfer_kit.eigen import decompose
        >>> eigen = decompose(np.array([[0.0], [0.1], [1.0], [1.1]]))
        >>> log_me(eigen, np.array([0, 0, 1, 1]), 2) > log_me(eigen, np.array([0, 1, 0, 1]), 2)
        True
    """
    counts = np.bincount(labels, minlength=n_classes)
    there = counts > 0
    projected = class_sums(eigen, labels, n_classes)[there].astype(np.float64)
    totals = (counts * (1.0 - counts / eigen.rows))[there]  # squared lengths of the centred one-hot columns
    return float(_maximum(eigen, projected, totals).mean())


def maximal_log_evidence(eigen: Eigen, y: np.ndarray) -> np.ndarray:
    """(columns,) maximal log evidence per row, nats, of the centred columns of `y`, (rows, columns); none constant."""
    return _maximum(eigen, y.T @ eigen.basis, (y**2).sum(axis=0))


def _maximum(eigen: Eigen, projected: np.ndarray, totals: np.ndarray) -> np.ndarray:
    curve = _Curve(eigen, projected, totals)
    if not len(eigen.spectrum):
        return curve.at(np.zeros(len(totals)))
    # Further out the curve is as flat as rounding: of pure noise and of labels without noise the top is at an end.
    low, high = np.log(eigen.spectrum.min()) - 12.0, np.log(eigen.spectrum.max()) + 18.0
    grid, step = np.linspace(low, high, int(np.ceil((high - low) / STEP)) + 1, retstep=True)
    values = curve.on(grid)
    start = grid[values.argmax(axis=0)]
    top = start
    for _ in range(NEWTON_STEPS):
        slope, bend = curve.slope_and_bend(top)
        move = np.where(bend < 0, -slope / np.where(bend < 0, bend, -1.0), step * np.sign(slope))
        top = np.clip(top + move, start - step, start + step)
    best: np.ndarray = np.maximum(curve.at(top), values.max(axis=0))
    return best


class _Curve:
    """The log evidence per row of every column as a function of log t.

    Args:
        projected: (columns, rank), of centred columns y on the basis. totals: (columns,) their squared lengths.
    """

    def __init__(self, eigen: Eigen, projected: np.ndarray, totals: np.ndarray):
        self._spectrum, self._n, self._totals = eigen.spectrum, eigen.rows - 1, totals
        self._squares = projected**2
        outside = totals - self._squares.sum(axis=1)
        self._outside = np.where(outside > 1e-9 * totals, outside, 0.0)

    def on(self, grid: np.ndarray) -> np.ndarray:
        """(points, columns), all columns at the same log t."""
        share = _share(grid[:, None], self._spectrum)  # t / (t + s)
        return self._value(self._outside + share @ self._squares.T, np.log(share).sum(axis=1)[:, None])

    def at(self, points: np.ndarray) -> np.ndarray:
        """(columns,), each column at its own log t."""
        share = _share(points[:, None], self._spectrum)
        return self._value(self._residual(share), np.log(share).sum(axis=1))

    def slope_and_bend(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(columns,) each: first and second derivative at `points`, (columns,)."""
        share = _share(points[:, None], self._spectrum)
        turn = share * (1.0 - share)  # its own derivative
        residual = self._residual(share)
        first = np.einsum("cr,cr->c", self._squares, turn) / residual
        second = np.einsum("cr,cr,cr->c", self._squares, turn, 1.0 - 2.0 * share) / residual
        slope = (1.0 - share).sum(axis=1) / self._n - first
        return 0.5 * slope, 0.5 * (first**2 - second - turn.sum(axis=1) / self._n)

    def _residual(self, share: np.ndarray) -> np.ndarray:
        inside: np.ndarray = np.einsum("cr,cr->c", self._squares, share)
        return np.maximum(self._outside + inside, LEAST_NOISE * self._totals)

    def _value(self, residual: np.ndarray, log_shares: np.ndarray) -> np.ndarray:
        noise = np.maximum(residual, LEAST_NOISE * self._totals)
        value: np.ndarray = 0.5 * (np.log(self._n / noise) + log_shares / self._n - 1.0 - np.log(2 * np.pi))
        return value


def _share(log_t: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    t = np.exp(log_t)
    return t / (t + spectrum)
