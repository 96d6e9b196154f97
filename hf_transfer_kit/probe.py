"""Linear probes on features: a closed-form leave-one-out ridge to choose a layer, a logistic head to answer.

The ridge probe fits one-hot labels and predicts every row by the model fitted without it, in closed form: one
eigendecomposition serves all rows and all strengths. It costs milliseconds and reads training data only.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hf_transfer_kit.eigen import Eigen, class_sums, decompose

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # ridge penalties, in units of the mean variance of a feature
INVERSE_PENALTIES = (1.0, 0.1, 0.01)  # of the logistic head (C in scikit-learn) on standardised features
SPARSE_INVERSE_PENALTIES = (1.0, 10.0, 100.0)  # on TF-IDF rows of length 1, whose entries are small
TOLERANCE = 1e-4  # of the gradient; at 1e-3 many classes stop before they have begun
MAX_PROBE_ROWS = 5000  # the choice of a layer does not get better beyond


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeaveOneOut:
    """How well ridge predicts rows it was not fitted on.

    Fields:
        hits: (rows,) bool, whether a row's own class scores highest, at the best strength.
        squared_error: mean over rows and classes of (score - one-hot)^2, at that strength; breaks ties.
        strength: the best of STRENGTHS, by accuracy, then by squared error.
    """

    hits: np.ndarray
    squared_error: float
    strength: float

    @property
    def accuracy(self) -> float:
        """Share of hits; slightly flattering, as the strength was chosen on the same rows."""
        return float(self.hits.mean())


def ridge_leave_one_out(features: Any, labels: np.ndarray, n_classes: int) -> LeaveOneOut:
    """Leave-one-out answers of ridge regression on one-hot labels, with an unpenalised intercept.

    Args:
        features: (rows, width), dense or scipy sparse; or their `Eigen`, where others use it too.
        labels: (rows,) class numbers below `n_classes`.

    Source: Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", equation 7.64: the left-out residual
    of a linear smoother is its residual over one minus its diagonal entry, the leverage h. So with g the fitted
    scores, the left-out ones are (g - h one-hot) / (1 - h).

    Example:
        >>> x = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> ridge_leave_one_out(x, np.array([0, 0, 1, 1]), 2).accuracy
        1.0
    """
    eigen = features if isinstance(features, Eigen) else decompose(features)
    basis, spectrum = eigen.basis, eigen.spectrum
    unit = spectrum.sum() / eigen.width or 1.0  # features that are all constant have no scale
    shrinks = spectrum / (spectrum + unit * np.array(STRENGTHS)[:, None])  # hat matrix: 1/n + basis diag(.) basis'
    leverages = 1.0 / eigen.rows + (basis * basis) @ shrinks.T.astype(basis.dtype)
    sums, shares = class_sums(eigen, labels, n_classes), np.bincount(labels, minlength=n_classes) / eigen.rows
    own = np.arange(eigen.rows), labels
    answers = []
    for strength, shrink, leverage in zip(STRENGTHS, shrinks, leverages.T, strict=True):
        scores = basis @ (sums * shrink).astype(basis.dtype).T
        scores += shares.astype(basis.dtype)
        scores[own] -= leverage
        hits = scores.argmax(axis=1) == labels  # one minus the leverage is above 0 and changes no order
        scores[own] += leverage - 1.0
        errors = np.einsum("ij,ij->i", scores, scores) / np.maximum(1.0 - leverage, 1e-12) ** 2
        answers.append(
            LeaveOneOut(hits=hits, squared_error=float(errors.mean(dtype=np.float64)) / n_classes, strength=strength)
        )
    return max(answers, key=lambda each: (each.accuracy, -each.squared_error))


def choose_layer(
    candidates: Mapping[str, np.ndarray], labels: np.ndarray, n_classes: int, seed: int = 0
) -> tuple[str, dict[str, LeaveOneOut]]:
    """(name of the best candidate, the leave-one-out result of every candidate), from training rows alone.

    Candidates are features (rows, width) by name; at most MAX_PROBE_ROWS rows, drawn with `seed`, are looked at.
    """
    rows = np.arange(len(labels))
    if len(rows) > MAX_PROBE_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_PROBE_ROWS, replace=False))
    results = {name: ridge_leave_one_out(x[rows], labels[rows], n_classes) for name, x in candidates.items()}
    best = max(results, key=lambda name: (results[name].accuracy, -results[name].squared_error))
    return best, results


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticHead:
    """Logits = features @ weight + bias.

    Fields:
        weight: (width, classes), fp32. bias: (classes,), fp32.
        inverse_penalty: the chosen C.
        flops: floating-point operations of all fits together, estimated from their iterations.
    """

    weight: np.ndarray
    bias: np.ndarray
    inverse_penalty: float
    flops: float

    def logits(self, features: Any) -> np.ndarray:
        """(rows, classes) for features (rows, width)."""
        logits: np.ndarray = features @ self.weight + self.bias
        return logits


def fit_logistic_head(
    features: Any,
    labels: np.ndarray,
    validation_features: Any,
    validation_labels: np.ndarray,
    n_classes: int,
    inverse_penalties: Sequence[float] | None = None,
) -> LogisticHead:
    """Multinomial logistic regression; penalties are tried in order until the validation loss no longer falls.

    Args:
        features, validation_features: (rows, width); dense ones are standardised, scipy sparse ones (TF-IDF, whose
            scale carries meaning) are not.
        labels: (rows,) class numbers below `n_classes`, of two classes at least; a missing class never wins.
        inverse_penalties: to try; None: INVERSE_PENALTIES, or SPARSE_INVERSE_PENALTIES for sparse rows.

    Example:
        >>> x, y = np.array([[0.0], [0.2], [1.0], [1.2]]), np.array([0, 0, 1, 1])
        >>> head = fit_logistic_head(x, y, x, y, n_classes=2)
        >>> head.logits(x).argmax(axis=1).tolist()
        [0, 0, 1, 1]
    """
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    from hf_transfer_kit.metrics import log_softmax, negative_log_likelihood

    is_sparse = sparse.issparse(features)
    centre, scale = (0.0, np.ones(features.shape[1])) if is_sparse else _standardisation(features)
    x = features if is_sparse else ((features - centre) / scale).astype(features.dtype)
    model = LogisticRegression(max_iter=300, tol=TOLERANCE, warm_start=True)
    best: tuple[float, LogisticHead] | None = None
    flops = 0.0
    for inverse_penalty in inverse_penalties or (SPARSE_INVERSE_PENALTIES if is_sparse else INVERSE_PENALTIES):
        with warnings.catch_warnings():  # few rows of many classes are no mistake, and the last steps change little
            warnings.filterwarnings("ignore", module="sklearn")
            model.set_params(C=inverse_penalty).fit(x, labels)
        flops += 4.0 * (x.nnz if is_sparse else x.size) * n_classes * float(model.n_iter_.max())
        coefficients, intercept = _all_classes(model.coef_, model.intercept_, model.classes_, n_classes)
        weight = coefficients.T / scale[:, None]
        bias = intercept - centre @ weight if not is_sparse else intercept
        head = LogisticHead(
            weight=weight.astype(np.float32),
            bias=bias.astype(np.float32),
            inverse_penalty=inverse_penalty,
            flops=flops,
        )
        loss = negative_log_likelihood(log_softmax(head.logits(validation_features)), validation_labels)
        if best is not None and loss >= best[0]:
            break  # the loss falls and then rises along the penalties
        best = (loss, head)
    assert best is not None  # noqa: S101  # there are penalties to try
    return replace(best[1], flops=flops)


def _standardisation(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, standard deviation) of every feature; 1 for one that never changes, of which rounding leaves a little."""
    centre, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    return centre, np.where(scale > 1e-6 * np.abs(centre), scale, 1.0)


def _all_classes(
    coefficients: np.ndarray, intercept: np.ndarray, classes: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """One row of coefficients per class: scikit-learn keeps one for two classes, and none for those it did not see.

    The logits of the classes it saw sum to zero, so the highest is above that of a class it did not see.
    """
    if len(coefficients) == 1:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    full, full_intercept = np.zeros((n_classes, coefficients.shape[1])), np.full(n_classes, intercept.min() - 10.0)
    full[classes], full_intercept[classes] = coefficients, intercept
    return full, full_intercept
