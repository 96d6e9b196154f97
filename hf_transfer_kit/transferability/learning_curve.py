"""How the error of the probe falls with more labels, and where it would be with a few times as many.

    error(n) = floor + scale * n^-power

fitted to leave-one-out errors on stratified subsets of the training rows; features are there already, so the whole
curve costs milliseconds. The band comes from errors drawn again within their standard errors. Beyond four times the
data nothing is said: several curves fit what was seen and part further out.

Source: Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically" (arXiv:1712.00409); Viering & Loog
2023, "The Shape of Learning Curves" (arXiv:2103.10948), on how far to trust such fits.
"""

from dataclasses import dataclass

import numpy as np

from hf_transfer_kit.comparison.estimate import Estimate, estimate_of
from hf_transfer_kit.data.split import stratified_order
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.probe import ridge_leave_one_out

SHARES = (0.125, 0.25, 0.5, 1.0)
DRAWS = 4  # subsets of each size
FURTHEST = 4.0  # times the data
POWERS = np.linspace(0.05, 2.0, 40)
RESAMPLES = 400
FLAT = 0.01  # gain of accuracy from twice the data that is called nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Leave-one-out accuracy on subsets of `rows` training rows: mean, and standard error over draws and rows."""

    rows: int
    accuracy: float
    standard_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Accuracy to expect with `rows` training rows."""

    rows: int
    accuracy: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """What was seen, and what to expect with more labels.

    Fields:
        points: measured, by rows.
        forecasts: with two and four times the rows; never below what was measured with all rows.
        gain_of_doubling: accuracy with twice the rows less that of the fitted curve at all rows.
    """

    points: tuple[CurvePoint, ...]
    forecasts: tuple[Forecast, ...]
    gain_of_doubling: Estimate

    @property
    def saturated(self) -> bool:
        """True where twice the labels are not expected to give a point: train more of the model rather than label."""
        return self.gain_of_doubling.value < FLAT


def learning_curve(
    features: np.ndarray, labels: np.ndarray, n_classes: int, seed: int = 0, furthest: float = FURTHEST
) -> LearningCurve | None:
    """The curve of the ridge probe on `features`, (rows, width); None where there are too few rows for three sizes.

    A subset holds two rows of each class on average, and eight rows, at least.

    Raises:
        PlanError: `furthest` is above 4.
    """
    if not 1.0 < furthest <= FURTHEST:
        raise PlanError(f"furthest={furthest} must lie between 1 and {FURTHEST:g}; no curve can be trusted beyond.")
    least = max(8, 2 * n_classes)
    sizes = [size for size in (round(share * len(labels)) for share in SHARES) if size >= least]
    if len(sizes) < 3:
        return None
    points = tuple(_point(features, labels, n_classes, size, seed) for size in sizes)
    more = (2.0, furthest) if furthest > 2.0 else (furthest,)
    rows = np.array([point.rows for point in points], dtype=np.float64)
    errors = np.array([1.0 - point.accuracy for point in points])
    spread = np.array([point.standard_error for point in points])
    drawn = np.random.default_rng(seed).normal(errors, spread, (RESAMPLES, len(points))).clip(0.0, 1.0)
    ahead = np.array([1.0, 2.0, *more]) * len(labels)
    best, band = (1.0 - fitted_errors(rows, each, 1.0 / spread, ahead) for each in (errors[None], drawn))
    return LearningCurve(
        points=points,
        forecasts=tuple(
            Forecast(rows=round(times * len(labels)), accuracy=estimate_of(float(best[0, at]), band[:, at]))
            for at, times in enumerate(more, start=2)
        ),
        gain_of_doubling=estimate_of(float(best[0, 1] - best[0, 0]), band[:, 1] - band[:, 0]),
    )


def fitted_errors(rows: np.ndarray, errors: np.ndarray, weights: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(curves, len(at)): errors at the numbers of rows in `at`, by the best floor + scale * rows^-power.

    Args:
        rows: (points,). errors: (curves, points). weights: (points,), inverse standard errors.

    For each power on a grid the best floor and scale, both >= 0, are known in closed form.
    """
    best = np.full(len(errors), np.inf)
    result = np.empty((len(errors), len(at)))
    squared = weights**2 / (weights**2).sum()
    for power in POWERS:
        x = (rows / rows[-1]) ** -power
        mean_x, mean_y = squared @ x, errors @ squared
        slope = np.maximum((errors * squared) @ (x - mean_x) / (squared @ (x - mean_x) ** 2), 0.0)
        floor = mean_y - slope * mean_x
        through_zero = (errors * squared) @ x / (squared @ x**2)  # the best scale where the floor would be negative
        scale, floor = np.where(floor < 0, through_zero, slope), np.maximum(floor, 0.0)
        misfit = ((errors - floor[:, None] - scale[:, None] * x) ** 2) @ squared
        better = misfit < best
        best[better] = misfit[better]
        ahead = (at / rows[-1]) ** -power
        result[better] = floor[better, None] + scale[better, None] * ahead
    return result


def _point(features: np.ndarray, labels: np.ndarray, n_classes: int, size: int, seed: int) -> CurvePoint:
    draws = 1 if size == len(labels) else DRAWS
    accuracies = []
    for draw in range(draws):
        rows = stratified_order(labels.tolist(), seed + draw)[:size]
        accuracies.append(ridge_leave_one_out(features[rows], labels[rows], n_classes).accuracy)
    mean = float(np.mean(accuracies))
    # Draws overlap, so the rows of one draw bound the error from above; Agresti-Coull keeps it above 0.
    share = (mean * size + 2.0) / (size + 4.0)
    return CurvePoint(rows=size, accuracy=mean, standard_error=float(np.sqrt(share * (1 - share) / size)))
