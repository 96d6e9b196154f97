"""The four estimators on one layer, from one eigendecomposition."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_transfer_kit.eigen import decompose
from hf_transfer_kit.probe import LeaveOneOut, ridge_leave_one_out
from hf_transfer_kit.transferability.h_score import h_score
from hf_transfer_kit.transferability.knn import knn_leave_one_out
from hf_transfer_kit.transferability.log_me import log_me

ESTIMATORS = ("ridge", "knn", "h_score", "log_me")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerEvidence:
    """What the estimators say of one layer.

    Fields:
        width: of the features.
        ridge: leave-one-out answers of ridge.
        knn: (rows,) bool, leave-one-out hits of the nearest neighbours.
        h_score, log_me: see there.
    """

    width: int
    ridge: LeaveOneOut
    knn: np.ndarray
    h_score: float
    log_me: float

    @property
    def values(self) -> tuple[float, ...]:
        """One number per estimator, in the order of `ESTIMATORS`; higher is better."""
        return self.ridge.accuracy, float(self.knn.mean()), self.h_score, self.log_me


def score_layer(features: Any, labels: np.ndarray, n_classes: int) -> LayerEvidence:
    """What the estimators say of `features`, (rows, width), given `labels`, (rows,), of two classes at least.

    Example:
        >>> x = np.array([[0.0, 1.0], [0.1, 1.0], [0.2, 0.9], [1.0, 0.0], [1.1, 0.1], [0.9, 0.2]] * 2)
        >>> score_layer(x, np.array([0, 0, 0, 1, 1, 1] * 2), 2).values[:2]
        (1.0, 1.0)
    """
    eigen = decompose(features)
    return LayerEvidence(
        width=eigen.width,
        ridge=ridge_leave_one_out(eigen, labels, n_classes),
        knn=knn_leave_one_out(features, labels, n_classes),
        h_score=h_score(eigen, labels, n_classes),
        log_me=log_me(eigen, labels, n_classes),
    )
