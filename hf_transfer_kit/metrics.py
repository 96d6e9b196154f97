"""Scores, calibration and uncertainty, as plain numpy functions; evaluate_modules.py wraps them for `evaluate`.

    scores         hits, accuracy, macro_f1
    calibration    expected_calibration_error, negative_log_likelihood, log_softmax, fit_temperature, apply_temperature
    uncertainty    mcnemar_exact, holm, bootstrap_accuracies, interval

Every function takes lists or arrays, checks them, and raises DataError for what cannot be scored: empty, of different
lengths, NaN, a label that is no whole number or has no class.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hf_transfer_kit.errors import DataError, PlanError

_TEMPERATURES = (0.05, 20.0)  # of a sensible network; beyond, all probability sits on one class or on none
_DRAWS = 4_000_000  # resampled items held at once: 32 MB


def hits(labels: ArrayLike, predictions: ArrayLike) -> np.ndarray:
    """Which predictions equal their label: bool (items,), for `correct` below; -1, an unreadable answer, equals none.

    Example:
        >>> hits([0, 1, 1, 2], [0, 1, 0, 2]).tolist()
        [True, True, False, True]
    """
    labels, predictions = _classes("labels", labels), _classes("predictions", predictions, lowest=-1)
    _same_length(labels=labels, predictions=predictions)
    return np.asarray(labels == predictions)


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """The share of predictions that equal their label, in [0, 1].

    Example:
        >>> accuracy([0, 1, 1, 2], [0, 1, 0, 2])
        0.75
    """
    return float(np.mean(hits(labels, predictions)))


def macro_f1(
    labels: ArrayLike, predictions: ArrayLike, n_classes: int | None = None, *, of_labels: bool = False
) -> float:
    """The mean over classes of F1 = 2 * hits / (labels + predictions of that class); above `n_classes` is an error.

    Over all classes found, as scikit-learn's `f1_score`, or with `of_labels` those in labels; -1, unreadable, is none.

    Example:
        >>> round(macro_f1([0, 0, 1, 1], [0, 0, 1, 0]), 4)  # (4/5 + 2/3) / 2
        0.7333
    """
    labels = _classes("labels", labels, n_classes)
    predictions = _classes("predictions", predictions, n_classes, lowest=-1)
    _same_length(labels=labels, predictions=predictions)
    classes, number = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    of_label, of_prediction = np.split(number, 2)
    right = np.bincount(of_label[of_label == of_prediction], minlength=len(classes))
    return float(np.mean((2 * right / np.bincount(number))[np.unique(of_label) if of_labels else classes >= 0]))


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """The mean gap between confidence and accuracy over equal-width bins, weighted by their items, in [0, 1].

    Bin m holds the confidences in ((m - 1) / bins, m / bins]; 0 falls into the first.

    Source: Naeini et al. 2015 (AAAI), with the bins of Guo et al. 2017 (arXiv:1706.04599), equation 3.

    Raises:
        DataError: a confidence is outside [0, 1], or `correct` is neither 0 nor 1.
        PlanError: `bins` is below 1.

    Example:
        >>> expected_calibration_error([0.75, 0.75, 0.5, 0.5], [1, 1, 1, 1])  # |0.75 - 1| / 2 + |0.5 - 1| / 2
        0.375
    """
    if bins < 1:
        raise PlanError(f"bins={bins} must be 1 or more; 15 is usual.")
    confidence, correct = _numbers("confidence", confidence), _right_or_wrong("correct", correct)
    _same_length(confidence=confidence, correct=correct)
    if confidence.min() < 0 or confidence.max() > 1 + 1e-6:  # a float32 softmax may end just above 1
        worst = confidence[np.argmax(np.abs(confidence - 0.5))]
        raise DataError(f"confidence {worst:g} is not in [0, 1]; give probabilities, not logits.")
    bin_of = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")
    gap = np.bincount(bin_of, weights=confidence - correct, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def log_softmax(logits: ArrayLike) -> np.ndarray:
    """Log-probabilities (rows, classes) in nats, float64, of logits (rows, classes); no overflow.

    Example:
        >>> np.exp(log_softmax([[0.0, 0.0]])).tolist()
        [[0.5, 0.5]]
    """
    logits = _numbers("logits", logits, dimensions=2)
    shifted: np.ndarray = logits - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def negative_log_likelihood(log_probs: ArrayLike, labels: ArrayLike) -> float:
    """The mean of -log p(label), in nats; infinite where a label has probability 0.

    Args:
        log_probs: (rows, classes), as `log_softmax` returns them.
        labels: (rows,), class numbers from 0.

    Raises:
        DataError: a row of `log_probs` does not sum to probability 1.

    Example:
        >>> round(negative_log_likelihood(log_softmax([[0.0, 0.0]]), [1]), 4)  # log 2
        0.6931
    """
    log_probs = _numbers("log_probs", log_probs, dimensions=2, finite=False)
    labels = _classes("labels", labels, log_probs.shape[1])
    _same_length(log_probs=log_probs, labels=labels)
    total = np.exp(log_probs).sum(axis=1)
    if np.abs(total - 1).max() > 1e-3:
        worst = total[np.argmax(np.abs(total - 1))]
        raise DataError(f"a row of log_probs sums to probability {worst:.4g}, not 1; pass log_softmax(logits).")
    return float(-np.mean(log_probs[np.arange(len(labels)), labels]))


def apply_temperature(logits: ArrayLike, temperature: float) -> np.ndarray:
    """Log-probabilities (rows, classes) of logits / temperature: above 1 less sure, below 1 surer; same arg max.

    Example:
        >>> apply_temperature([[2.0, 0.0]], 2.0).tolist() == log_softmax([[1.0, 0.0]]).tolist()
        True
    """
    if not (temperature > 0 and np.isfinite(temperature)):
        raise PlanError(f"temperature={temperature} must be above 0 and finite; 1 changes nothing.")
    return log_softmax(_numbers("logits", logits, dimensions=2) / temperature)


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature in [0.05, 20] with the least negative log-likelihood on (rows, classes) logits and their labels.

    Fit it on validation rows, never on test. A bounded search over log T; the likelihood is concave in 1 / T, so there
    is one optimum. Never worse than T = 1 on the given rows. Where every row is right the optimum is T = 0: the answer
    is then near 0.05.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2 (arXiv:1706.04599).

    Example:
        >>> round(fit_temperature([[2.0, 0.0]] * 4, [0, 0, 0, 1]), 3)  # softmax(2 / T) = 3/4, so T = 2 / log 3
        1.82
    """
    from scipy.optimize import minimize_scalar

    logits = _numbers("logits", logits, dimensions=2)

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(apply_temperature(logits, float(np.exp(log_temperature))), labels)

    low, high = np.log(_TEMPERATURES)
    best = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(best.x)) if best.fun < loss(0.0) else 1.0


def mcnemar_exact(correct_a: ArrayLike, correct_b: ArrayLike) -> float:
    """Two-sided p-value that two classifiers are equally good, from the items that only one of them gets right.

    Of those, half should go to each: an exact binomial test. 1.0 when they never differ.

    Source: McNemar 1947; exact form: Dietterich 1998, section 3.1 (Neural Computation 10:1895).

    Example:
        >>> mcnemar_exact([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])  # 5 of 5: 2 / 2**5
        0.0625
    """
    from scipy.stats import binomtest

    a, b = _right_or_wrong("correct_a", correct_a), _right_or_wrong("correct_b", correct_b)
    _same_length(correct_a=a, correct_b=b)
    only_a, only_b = int(np.sum(a > b)), int(np.sum(b > a))
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def holm(p_values: ArrayLike) -> np.ndarray:
    """p-values adjusted for being several, in the given order: reject those at or below the level you chose.

    Source: Holm 1979 (Scandinavian Journal of Statistics 6:65).

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()  # 3 * 0.01, then 2 * 0.03, then no less than that
        [0.03, 0.06, 0.06]
    """
    p = _numbers("p_values", p_values)
    if p.min() < 0 or p.max() > 1:
        raise DataError(f"p-values {p.min():g} to {p.max():g} are not all in [0, 1].")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def bootstrap_accuracies(correct: Sequence[ArrayLike], n_resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """Accuracies (arms, n_resamples) under resampling of test items and of training seeds.

    Subtract two rows for the bootstrap of a difference: in one resample all arms see the same items, and arms with the
    same number of seeds the same seeds. One seed alone carries no seed uncertainty.

    Args:
        correct: one array per arm, (seeds, items) of 0 / 1 or bool; the same items in the same order for every arm.

    Source: paired two-level bootstrap, Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 8.

    Example:
        >>> draws = bootstrap_accuracies([[[1, 1, 0, 1]], [[1, 0, 0, 1]]], n_resamples=100)
        >>> draws.shape, bool((draws[0] >= draws[1]).all())
        ((2, 100), True)
    """
    arms = [_right_or_wrong(f"correct[{arm}]", rows, dimensions=2) for arm, rows in enumerate(correct)]
    if not arms or n_resamples < 1:
        raise DataError(f"nothing to resample: {len(arms)} arms, n_resamples={n_resamples}.")
    n_items = arms[0].shape[1]
    for number, arm in enumerate(arms):
        if arm.shape[1] != n_items:
            raise DataError(f"correct[{number}] has {arm.shape[1]} items, correct[0] {n_items}; score the same ones.")
    every_run = np.concatenate(arms)
    item_source = np.random.default_rng([seed, 0])
    means = np.concatenate(
        [_draw(item_source, n_items, size) @ every_run.T for size in _chunks(n_resamples, _DRAWS // n_items)]
    )  # (n_resamples, runs of all arms)
    seed_weights = {n: _draw(np.random.default_rng([seed, n]), n, n_resamples) for n in {len(arm) for arm in arms}}
    runs = np.split(means, np.cumsum([len(arm) for arm in arms])[:-1], axis=1)
    return np.stack([(run * seed_weights[run.shape[1]]).sum(axis=1) for run in runs])


def interval(samples: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval that holds `level` of the samples: (low, high).

    Example:
        >>> interval(range(101), level=0.5)
        (25.0, 75.0)
    """
    if not 0 < level < 1:
        raise PlanError(f"level={level} must lie between 0 and 1; 0.95 is usual.")
    low, high = np.quantile(_numbers("samples", samples), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _draw(source: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Weights (size, n): how often each of n things is drawn in n draws with replacement, divided by n."""
    drawn = source.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n) / n


def _chunks(total: int, most: int) -> list[int]:
    """`total` cut into parts of at most `most`, at least 1."""
    most = max(most, 1)
    return [min(most, total - start) for start in range(0, total, most)]


def _numbers(name: str, values: ArrayLike, dimensions: int = 1, finite: bool = True) -> np.ndarray:
    """The values as a float64 array, checked."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers in an array of {dimensions} dimensions: {error}") from error
    if array.ndim != dimensions:
        raise DataError(f"{name} has shape {array.shape}; {dimensions} dimensions are needed.")
    if array.size == 0:
        raise DataError(f"{name} is empty: there is nothing to score.")
    if np.isnan(array).any() or (finite and np.isinf(array).any()):
        raise DataError(f"{name} holds NaN or infinite values; find the run that made them.")
    return array


def _classes(name: str, values: ArrayLike, n_classes: int | None = None, lowest: int = 0) -> np.ndarray:
    """The values as class numbers (int64), checked; nothing is rounded."""
    array = _numbers(name, values)
    odd = array[(array != np.floor(array)) | (array < lowest)]
    if len(odd):
        raise DataError(f"{name} holds {odd[0]:g}; class numbers are whole and 0 or more (arg max of the scores?).")
    if n_classes is not None and array.max() >= n_classes:
        raise DataError(f"{name} holds class {array.max():g}, but classes run from 0 to {n_classes - 1}.")
    return array.astype(np.int64)


def _right_or_wrong(name: str, values: ArrayLike, dimensions: int = 1) -> np.ndarray:
    """0 / 1 for wrong / right, as float64."""
    array = _numbers(name, values, dimensions)
    odd = array[(array != 0) & (array != 1)]
    if len(odd):
        raise DataError(f"{name} holds {odd[0]:g}; 1 is right and 0 is wrong, nothing between.")
    return array


def _same_length(**arrays: np.ndarray) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DataError(f"lengths differ: {text}; each item needs one of each.")
