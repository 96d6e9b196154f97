"""Numbers with their 95% interval, from bootstrap resamples. Imports no torch."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hf_transfer_kit import metrics

RESAMPLES = 2000
LEVEL = 0.95

_ROUNDING = 1e-9  # a difference of two means of hits that is 0 on paper

Samples = npt.NDArray[np.float64]  # the number on each resample
Correct = npt.NDArray[np.bool_]  # right answers, (seeds, items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        """True where the whole interval lies above 0."""
        return self.low > _ROUNDING

    @property
    def below_zero(self) -> bool:
        """True where the whole interval lies below 0."""
        return self.high < -_ROUNDING

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2


def estimate_of(value: float, samples: npt.NDArray[Any]) -> Estimate:
    """`value` with the interval that holds `LEVEL` of its resamples."""
    low, high = metrics.interval(samples, level=LEVEL)
    return Estimate(value=value, low=float(low), high=float(high))


def accuracy_of(correct: Correct, samples: Samples) -> Estimate:
    """The share of right answers, with its interval.

    Where every answer is right, or none, all resamples agree and say nothing; the exact binomial bound (Clopper &
    Pearson 1934) is used instead: 20 of 20 right answers are compatible with an accuracy of 0.83.
    """
    estimate = estimate_of(float(correct.mean()), np.clip(samples, 0.0, 1.0))  # weights may sum to 1 + 2e-16
    edge = ((1 - LEVEL) / 2) ** (1 / correct.shape[1])
    if correct.all():
        return dataclasses.replace(estimate, low=edge)
    return dataclasses.replace(estimate, high=1 - edge) if not correct.any() else estimate
