"""From logits to accuracies in two scenarios, and from those of several seeds to numbers with intervals.

class-incremental    the arg max over all intents: nobody says which domain a text is of
task-incremental     the arg max among the intents of the text's own domain, of the same logits
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.forgetting.clinc_domains import Domain
from hf_transfer_kit import average_accuracy, backward_transfer, forward_transfer
from hf_transfer_kit.metrics import accuracy

CLASS, TASK = "class_incremental", "task_incremental"
DRAWS = 10_000
Matrix = list[list[float | None]]  # R[i][j], tasks in the order of learning; None: not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One method through the sequence with one seed.

    Fields:
        method: its name.
        setting: what was chosen for it, such as a strength; None: it has none.
        seed: of the order of the domains, the rows, the head's start and the batches.
        domains: in the order of learning.
        matrix: by scenario.
        start: by scenario, the accuracy on each domain before the first training.
        cpu_seconds: of learning each domain, what the method does before and after the training included.
    """

    method: str
    setting: float | None
    seed: int
    domains: list[str]
    matrix: dict[str, Matrix]
    start: dict[str, list[float]]
    cpu_seconds: list[float]

    def average(self, scenario: str) -> float:
        """Mean accuracy over all domains at the end."""
        return average_accuracy(np.array(self.matrix[scenario], dtype=float))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over seeds, and the 95 % interval of it."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What one method reaches in one scenario, accuracies and their differences.

    Fields:
        average: over all domains after the last.
        learned: of each domain just after it was learned.
        backward, forward: transfer; see `hf_transfer_kit.continual`.

    All but `average` are None where only the end was measured.
    """

    average: Estimate
    learned: Estimate | None
    backward: Estimate | None
    forward: Estimate | None


def score(logits: np.ndarray, domains: Sequence[Domain]) -> dict[str, list[float]]:
    """Accuracy on each of `domains` by scenario; `logits` (rows, intents) of their held-out rows in this order."""
    found: dict[str, list[float]] = {CLASS: [], TASK: []}
    first = 0
    for domain in domains:
        labels, own = np.array(domain.held_out.labels), np.array(domain.labels)
        rows = logits[first : first + len(labels)]
        first += len(labels)
        found[CLASS].append(accuracy(labels, rows.argmax(axis=1)))
        found[TASK].append(accuracy(labels, own[rows[:, own].argmax(axis=1)]))
    return found


def scores_of(runs: Sequence[Run], scenario: str) -> Scores:
    """Over the seeds of one method."""
    matrices = [np.array(run.matrix[scenario], dtype=float) for run in runs]
    starts = [np.array(run.start[scenario]) for run in runs]

    def estimate(value: Callable[[int], float], cells: Callable[[int], np.ndarray]) -> Estimate:
        """`value` of a run, which is the mean of its `cells`, one for each task, NaN where the task has none."""
        by_domain = [dict(zip(run.domains, cells(i), strict=True)) for i, run in enumerate(runs)]
        table = np.array([[found[name] for name in sorted(found)] for found in by_domain])
        low, high = crossed_interval(table)
        return Estimate(mean=float(np.mean([value(i) for i in range(len(runs))])), low=low, high=high)

    average = estimate(lambda i: average_accuracy(matrices[i]), lambda i: matrices[i][-1])
    if np.isnan(matrices[0][0, 0]):
        return Scores(average=average, learned=None, backward=None, forward=None)
    diagonals = [np.diag(matrix) for matrix in matrices]
    return Scores(
        average=average,
        learned=estimate(lambda i: float(diagonals[i].mean()), lambda i: diagonals[i]),
        backward=estimate(
            lambda i: backward_transfer(matrices[i]),
            lambda i: np.append((matrices[i][-1] - diagonals[i])[:-1], np.nan),
        ),
        forward=estimate(
            lambda i: forward_transfer(matrices[i], starts[i]),
            lambda i: np.append(np.nan, np.diag(matrices[i], 1) - starts[i][1:]),
        ),
    )


def crossed_interval(table: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of `table` (seeds, domains), NaN left out.

    Seeds and domains are drawn with replacement, each on its own, and the cells where drawn ones meet are averaged:
    all seeds share the domains, so their cells are not independent.

    Source: Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2).

    Example:
        >>> crossed_interval(np.full((3, 4), 0.5))
        (0.5, 0.5)
    """
    random = np.random.default_rng(seed)
    rows, columns = (random.integers(0, size, (DRAWS, size)) for size in table.shape)
    drawn = table[rows[:, :, None], columns[:, None, :]]
    measured = np.count_nonzero(~np.isnan(drawn), axis=(1, 2))
    means = np.nansum(drawn, axis=(1, 2))[measured > 0] / measured[measured > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
