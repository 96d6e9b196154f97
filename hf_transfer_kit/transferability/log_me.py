"""LogME: the log evidence of the labels under Bayesian linear regression on the features, all classes at once.

    y | w ~ N(X w, 1/beta),   w ~ N(0, 1/alpha),   score = max over alpha, beta of log p(y) / n

Each class's one-hot column is a y. Features and labels are centred and n is one less than the rows, which is a flat
prior on an intercept. With t = alpha / beta the best beta is known in closed form, and one smooth curve in log t is
left. Its top is found on a grid and then by parabolas: no fixed-point iteration that may not have converged, and no
start that a class inherits from the one before.

With z = basis' y and k eigenvalues s above zero:

    log p = n/2 log(n / R) + 1/2 sum_k log(t / (t + s_k)) - n/2 (1 + log 2 pi)
    R     = |y|^2 - sum_k z_k^2 s_k / (t + s_k)

There is one log t for each s. Where there are fewer rows than features, width/2 log t with only k terms against it, as
both public implementations have it, rewards width: columns of noise then raise the score.

Source: You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning" (arXiv:2102.11005);
Bishop 2006, "Pattern Recognition and Machine Learning", equation 3.86.
"""

import numpy as np

from hf_transfer_kit.transferability.eigen import Eigen

STEP = 0.5  # of the grid in log t; the curve changes over about 1
LEAST_NOISE = 1e-10  # of a class's variance; labels that lie exactly in the features would have evidence without end


def log_me(eigen: Eigen, labels: np.ndarray, n_classes: int) -> float:
    """The mean over the classes of the maximal log evidence per row, in nats; higher is better.

    Only for comparing features of the same rows and labels. Classes without rows do not count.

    Args:
        labels: (rows,) class numbers below `n_classes`; two classes at least.

    Example:
        >>> from hf_transfer_kit.transferability.eigen import decompose
        >>> eigen = decompose(np.array([[0.0], [0.1], [1.0], [1.1]]))
        >>> log_me(eigen, np.array([0, 0, 1, 1]), 2) > log_me(eigen, np.array([0, 1, 0, 1]), 2)
        True
    """
    targets = np.eye(n_classes)[labels]
    y = (targets - targets.mean(axis=0))[:, np.bincount(labels, minlength=n_classes) > 0]
    return float(maximal_log_evidence(eigen, y).mean())


def maximal_log_evidence(eigen: Eigen, y: np.ndarray) -> np.ndarray:
    """(columns,) maximal log evidence per row, nats, of the centred columns of `y`, (rows, columns); none constant."""
    curve = _Curve(eigen, y)
    if not len(eigen.spectrum):
        return curve.at(np.zeros(y.shape[1]))
    # Further out the curve is as flat as rounding: of pure noise and of labels without noise the top is at an end.
    low, high = np.log(eigen.spectrum[0]) - 12.0, np.log(eigen.spectrum[-1]) + 18.0
    grid = np.linspace(low, high, int(np.ceil((high - low) / STEP)) + 1)
    values = curve.on(grid)
    top = grid[np.clip(values.argmax(axis=0), 1, len(grid) - 2)]
    for step in (grid[1] - grid[0], 0.03, 0.003):
        below, middle, above = curve.at(top - step), curve.at(top), curve.at(top + step)
        bend = below - 2.0 * middle + above
        move = np.where(bend < 0, 0.5 * step * (below - above) / np.where(bend < 0, bend, 1.0), 0.0)
        top = np.clip(top + np.clip(move, -2 * step, 2 * step), low, high)
    best: np.ndarray = np.maximum(curve.at(top), values.max(axis=0))
    return best


class _Curve:
    """The log evidence per row of every column as a function of log t."""

    def __init__(self, eigen: Eigen, y: np.ndarray):
        self._spectrum, self._n = eigen.spectrum, eigen.rows - 1
        self._squares = (eigen.basis.T @ y) ** 2  # (rank, columns)
        self._total = (y**2).sum(axis=0)
        outside = self._total - self._squares.sum(axis=0)
        self._outside = np.where(outside > 1e-9 * self._total, outside, 0.0)

    def on(self, grid: np.ndarray) -> np.ndarray:
        """(points, columns), all columns at the same log t."""
        share = _share(grid[:, None], self._spectrum)  # t / (t + s)
        return self._value(share @ self._squares, np.log(share).sum(axis=1)[:, None])

    def at(self, points: np.ndarray) -> np.ndarray:
        """(columns,), each column at its own log t."""
        share = _share(points[:, None], self._spectrum)
        return self._value((share * self._squares.T).sum(axis=1), np.log(share).sum(axis=1))

    def _value(self, inside: np.ndarray, log_shares: np.ndarray) -> np.ndarray:
        residual = np.maximum(self._outside + inside, LEAST_NOISE * self._total)
        value: np.ndarray = 0.5 * (np.log(self._n / residual) + log_shares / self._n - 1.0 - np.log(2 * np.pi))
        return value


def _share(log_t: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    t = np.exp(log_t)
    return t / (t + spectrum)
