"""Ridge regression on one-hot labels, every row answered by the fit without it: what a linear head will get.

The same probe as `probe.ridge_leave_one_out`, from a decomposition that other estimators share, and with the answer to
every row, which paired intervals need.

Source: Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", equation 7.64.
"""

from dataclasses import dataclass

import numpy as np

from hf_transfer_kit.probe import STRENGTHS
from hf_transfer_kit.transferability.eigen import Eigen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RidgeAnswers:
    """Leave-one-out answers at the best strength.

    Fields:
        hits: (rows,) bool, whether a row's own class scores highest.
        squared_error: mean over rows and classes of (score - one-hot)^2.
        strength: the best of `probe.STRENGTHS`, by accuracy, then by squared error.
    """

    hits: np.ndarray
    squared_error: float
    strength: float

    @property
    def accuracy(self) -> float:
        """Share of hits; slightly flattering, as the strength was chosen on the same rows."""
        return float(self.hits.mean())


def ridge_leave_one_out(eigen: Eigen, labels: np.ndarray, n_classes: int) -> RidgeAnswers:
    """The answers of ridge with an unpenalised intercept to rows it was not fitted on.

    Args:
        labels: (rows,) class numbers below `n_classes`.

    Example:
        >>> from hf_transfer_kit.transferability.eigen import decompose
        >>> eigen = decompose(np.array([[0.0], [0.1], [1.0], [1.1]]))
        >>> ridge_leave_one_out(eigen, np.array([0, 0, 1, 1]), 2).accuracy
        1.0
    """
    targets = np.eye(n_classes)[labels]
    y = targets - targets.mean(axis=0)
    spectrum = eigen.spectrum
    unit = spectrum.sum() / eigen.width or 1.0  # features that are all constant have no scale
    shrinks = spectrum / (spectrum + unit * np.array(STRENGTHS)[:, None])  # hat matrix: 1/n + basis diag(.) basis'
    projected = eigen.basis.T @ y
    leverages = np.minimum(1.0 / eigen.rows + eigen.basis**2 @ shrinks.T, 1.0 - 1e-12)
    answers = []
    for strength, shrink, leverage in zip(STRENGTHS, shrinks, leverages.T, strict=True):
        left_out = targets - (y - eigen.basis @ (shrink[:, None] * projected)) / (1.0 - leverage)[:, None]
        hits = left_out.argmax(axis=1) == labels
        error = float(((left_out - targets) ** 2).mean())
        answers.append(RidgeAnswers(hits=hits, squared_error=error, strength=strength))
    return max(answers, key=lambda each: (each.accuracy, -each.squared_error))
