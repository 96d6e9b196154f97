"""From how many labels on fine-tuning beats prompting, with its interval.

Each side is the best of its arms at every number of labels, by mean accuracy. Between two measured numbers an arm lies
on a straight line over log labels; beyond its last one it stays as it is, because whoever has more labels can still
use it with fewer; without labels it is the same everywhere.

The crossover is the number of labels from which on fine-tuning stays ahead, up to the most that were measured. It is
taken on every resample of the comparison's paired bootstrap, where all arms see the same test items, and those with
equally many seeds the same seeds. Which arms are best is decided once, on all items. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_transfer_kit.comparison.arms import Arm
from hf_transfer_kit.comparison.estimate import LEVEL, Samples
from hf_transfer_kit.comparison.prompt_result import Crossover
from hf_transfer_kit.comparison.result import FINE_TUNED, PROMPTED

Numbers = npt.NDArray[np.float64]

_GRID = 256  # places between the fewest and the most labels, beside the measured ones
_ROUNDING = 1e-9  # of two means of hits that are equal on paper


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Accuracy of one arm over labels used.

    Fields:
        labels: (points,), ascending; one 0 for an arm without labels.
        accuracy: (points,).
        samples: the same on resamples, (resamples, points).
    """

    name: str
    labels: Numbers
    accuracy: Numbers
    samples: Numbers

    def at(self, labels: Numbers) -> tuple[Numbers, Numbers]:
        """Accuracy (places,) and on resamples (resamples, places); NaN below the first point."""
        corners = np.log(np.maximum(self.labels, 1e-9))  # one point alone is the same everywhere
        weights = np.stack([np.interp(np.log(labels), corners, corner) for corner in np.eye(len(corners))])
        weights[:, labels < self.labels[0]] = np.nan
        return self.accuracy @ weights, self.samples @ weights


def crossover_of(arms: Sequence[Arm], samples: Samples) -> Crossover | None:
    """Of the prompted and the fine-tuned arms among `arms`; None where fine-tuning has one number of labels only.

    Args:
        arms: at every training size.
        samples: their accuracies on resamples, (arms, resamples).
    """
    prompting = _curves(arms, samples, PROMPTED)
    trained = [curve for curve in _curves(arms, samples, FINE_TUNED) if curve.labels[0] > 0]
    return between(prompting, trained) if prompting and trained else None


def between(prompting: Sequence[Curve], trained: Sequence[Curve]) -> Crossover | None:
    """The crossover of two sides; None where no two numbers of labels are known of both."""
    first = max(min(curve.labels[0] for curve in side) for side in (prompting, trained))
    last = max(curve.labels[-1] for curve in trained)
    if first >= last:
        return None
    places = _places(first, last, [*prompting, *trained])
    below, below_samples, prompts = _envelope(prompting, places)
    above, above_samples, others = _envelope(trained, places)
    labels = float(last_crossing(places, (above - below)[None])[0])
    drawn = np.sort(last_crossing(places, above_samples - below_samples))
    outside = (1 - LEVEL) / 2 * len(drawn)
    low, high = float(drawn[int(outside)]), float(drawn[int(np.ceil(len(drawn) - outside)) - 1])
    meet = int(np.clip(np.searchsorted(places, labels), 0, len(places) - 1))
    return Crossover(
        prompting=prompts[meet],
        trained=others[meet],
        labels=_known(labels),
        low=_known(low),
        high=_known(high),
        first=round(first),
        last=round(last),
    )


def last_crossing(labels: Numbers, lead: Numbers) -> Numbers:
    """The number of labels from which on each lead stays above 0: 0 where it always is, inf where it ends at or below.

    Args:
        labels: (places,), ascending, above 0.
        lead: (resamples, places); straight over log labels between two places.

    Example:
        >>> last_crossing(np.array([10.0, 1000.0]), np.array([[-0.1, 0.1], [0.1, 0.2], [0.1, -0.1]])).round().tolist()
        [100.0, 0.0, inf]
    """
    behind = lead <= _ROUNDING
    last = len(labels) - 1 - np.argmax(behind[:, ::-1], axis=1)  # the last place where it is behind
    row, following = np.arange(len(lead)), np.minimum(last + 1, len(labels) - 1)
    here, there = lead[row, last], lead[row, following]
    share = np.divide(-here, there - here, out=np.zeros_like(here), where=there > here)
    found = np.exp(np.log(labels[last]) + share * np.log(labels[following] / labels[last]))
    found = np.where(behind[:, -1], np.inf, found)
    return np.where(behind.any(axis=1), found, 0.0)


def _places(first: float, last: float, curves: Sequence[Curve]) -> Numbers:
    """Where the two sides are compared: every measured number of labels, and a fine grid between."""
    measured = np.concatenate([curve.labels for curve in curves])
    inside = measured[(measured > first) & (measured < last)]
    return np.unique(np.concatenate([[first, last], inside, np.geomspace(first, last, _GRID)[1:-1]]))


def _envelope(curves: Sequence[Curve], places: Numbers) -> tuple[Numbers, Numbers, list[str]]:
    """The best curve at each place: accuracy (places,), on resamples (resamples, places), and its name."""
    values, samples = zip(*(curve.at(places) for curve in curves), strict=True)
    best = np.nanargmax(np.stack(values), axis=0)
    column = np.arange(len(places))
    return (
        np.stack(values)[best, column],
        np.stack(samples)[best, :, column].T,
        [curves[number].name for number in best],
    )


def _curves(arms: Sequence[Arm], samples: Samples, approaches: Sequence[str]) -> list[Curve]:
    """One curve per arm of these approaches; of equal numbers of labels, the one drawn from most examples counts."""
    found: dict[str, dict[int, tuple[float, Numbers]]] = {}
    for arm, resampled in sorted(zip(arms, samples, strict=True), key=lambda pair: pair[0].train_size):
        if arm.approach.name in approaches:
            found.setdefault(arm.name, {})[arm.labels_used] = (float(arm.correct.mean()), resampled)
    return [
        Curve(
            name=name,
            labels=np.array(sorted(points), dtype=np.float64),
            accuracy=np.array([points[labels][0] for labels in sorted(points)]),
            samples=np.stack([points[labels][1] for labels in sorted(points)], axis=1),
        )
        for name, points in found.items()
    ]


def _known(labels: float) -> float | None:
    """None for infinity, which JSON cannot hold."""
    return labels if np.isfinite(labels) else None
