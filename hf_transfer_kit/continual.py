"""What a model keeps while it learns one task after another, from a matrix of scores.

    R[i, j]   score on task j after learning task i, tasks numbered in the order of learning: (tasks, tasks)

Scores are better when larger: accuracies, F1, or minus a loss. NaN stands for "not measured"; each function says what
it needs. Results have the unit of the scores. evaluate_modules.py wraps the functions for `evaluate`.

    average_accuracy     mean of the last row
    backward_transfer    how much later learning changed earlier tasks; negative is forgetting
    forward_transfer     how much earlier learning helped tasks that had not been learned yet
    forgetting           how far tasks are below their best; 0 or negative where nothing was lost

Sources: Lopez-Paz & Ranzato 2017, "Gradient Episodic Memory", section 2, "Metrics" (arXiv:1706.08840); Chaudhry et al.
2018, "Riemannian Walk", section 3 (arXiv:1801.10112).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hf_transfer_kit.errors import DataError


def average_accuracy(scores: ArrayLike) -> float:
    """The mean score over all tasks at the end: mean_j R[T, j].

    Raises:
        DataError: `scores` is not (tasks, tasks), or a score of the last row is missing.

    Example:
        >>> average_accuracy([[0.75, 0.5], [0.25, 0.75]])
        0.5
    """
    return float(_measured(_square(scores)[-1], "after the last task").mean())


def backward_transfer(scores: ArrayLike) -> float:
    """What learning further tasks did to the earlier ones: mean over j < T of R[T, j] - R[j, j].

    Raises:
        DataError: `scores` is not (tasks, tasks) with two tasks or more, or a score of the last row or the diagonal
            is missing.

    Example:
        >>> backward_transfer([[0.75, 0.5], [0.25, 0.75]])
        -0.5
    """
    matrix = _square(scores, least=2)
    learned = _measured(np.diag(matrix)[:-1], "just after the task was learned")
    return float((_measured(matrix[-1, :-1], "after the last task") - learned).mean())


def forward_transfer(scores: ArrayLike, baseline: ArrayLike) -> float:
    """What earlier tasks did for those not learned yet: mean over j > 1 of R[j - 1, j] - b_j.

    Args:
        scores: R, (tasks, tasks).
        baseline: b, (tasks,): each task's score with a model that has learned nothing, such as a random start. The
            first is not used. One number stands for all.

    Raises:
        DataError: `scores` is not (tasks, tasks) with two tasks or more, `baseline` is not (tasks,), or a score just
            before a task is missing.

    Example:
        >>> forward_transfer([[0.75, 0.5], [0.25, 0.75]], baseline=[0.25, 0.25])
        0.25
    """
    matrix = _square(scores, least=2)
    start = _numbers(baseline, "baseline")
    if start.shape not in ((), (len(matrix),)):
        raise DataError(f"baseline has shape {start.shape}; one score for each of the {len(matrix)} tasks is needed.")
    before = _measured(np.diag(matrix, 1), "just before the task was learned")
    return float((before - _measured(np.broadcast_to(start, len(matrix))[1:], "in the baseline")).mean())


def forgetting(scores: ArrayLike) -> float:
    """How far earlier tasks are below their best: mean over j < T of max over i < T of R[i, j], minus R[T, j].

    In [-1, 1] for accuracies. Scores that are missing above the last row do not take part in the maximum. The maximum
    also runs over the rows before the task was learned, as in the source.

    Raises:
        DataError: `scores` is not (tasks, tasks) with two tasks or more, a score of the last row is missing, or all
            earlier ones of a task are.

    Example:
        >>> forgetting([[0.75, 0.5, 0.5], [0.875, 0.75, 0.5], [0.25, 0.75, 0.75]])  # (0.625 + 0) / 2
        0.3125
    """
    matrix = _square(scores, least=2)
    best = np.fmax.reduce(matrix[:-1, :-1], axis=0)  # unlike nanmax, no warning for a column of NaN
    return float((_measured(best, "before the last task") - _measured(matrix[-1, :-1], "after the last task")).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinualSummary:
    """The four numbers over a sequence of trainings; None: not measured, or fewer than two tasks."""

    average_accuracy: float | None
    backward_transfer: float | None
    forward_transfer: float | None
    forgetting: float | None


class TaskSequence:
    """Scores of one training after another, by task name, as the matrix R.

    Tasks that none of the trainings learns were known at the start: their rows are the scores at the start.

    Example:
        >>> sequence = TaskSequence()
        >>> sequence.begin("new", {"old": 0.75, "new": 0.5})
        >>> sequence.end("new", {"old": 0.25, "new": 0.75})
        >>> sequence.names, sequence.matrix.tolist()
        (['old', 'new'], [[0.75, 0.5], [0.25, 0.75]])
        >>> sequence.summary(baseline=0.25)  # doctest: +NORMALIZE_WHITESPACE
        ContinualSummary(average_accuracy=0.5, backward_transfer=-0.5, forward_transfer=0.25, forgetting=0.5)
    """

    def __init__(self) -> None:
        self._start: dict[str, float] = {}
        self._learned: list[str] = []
        self._rows: list[dict[str, float]] = []

    def begin(self, task: str, scores: Mapping[str, float]) -> None:
        """Notes the scores just before `task` is learned; of earlier tasks they are known already."""
        if not self._rows:
            self._start = dict(scores)
            return
        if task in scores:
            self._rows[-1][task] = scores[task]
        self._start = self._unlearned(task, scores) | self._start

    def end(self, task: str, scores: Mapping[str, float]) -> None:
        """Adds the row of scores after `task` was learned; what was not measured is left out."""
        self._learned.append(task)
        self._rows.append(dict(scores))

    def at(self, task: str, scores: Mapping[str, float]) -> "TaskSequence":
        """The sequence as if it ended here, while `task` is being learned; this one stays as it is."""
        other = TaskSequence()
        other._start = self._unlearned(task, scores) | self._start  # of a set that joins only now, the start is now
        other._learned, other._rows = [*self._learned, task], [*self._rows, dict(scores)]
        return other

    def _unlearned(self, task: str, scores: Mapping[str, float]) -> dict[str, float]:
        return {name: score for name, score in scores.items() if name not in (*self._learned, task)}

    def __len__(self) -> int:
        """How many trainings have ended."""
        return len(self._rows)

    @property
    def names(self) -> list[str]:
        """The tasks in the order of the matrix: those known at the start, then those learned."""
        return [name for name in self._start if name not in self._learned] + self._learned

    @property
    def matrix(self) -> np.ndarray:
        """R, (tasks, tasks), NaN where not measured; raises DataError before the first training has ended."""
        if not self._rows:
            raise DataError("no training has ended yet; scores are compared over whole trainings.")
        names = self.names
        rows = [self._start] * (len(names) - len(self._learned)) + self._rows
        return np.array([[row.get(name, np.nan) for name in names] for row in rows])

    def summary(self, baseline: ArrayLike | None = None) -> ContinualSummary:
        """The four numbers over the tasks that were scored after the last training.

        Args:
            baseline: as in `forward_transfer`, one number or one for each of `names`; None: not known.
        """
        matrix, last = self.matrix, len(self.names) - 1
        scored = [i for i in range(last + 1) if i == last or not np.isnan(matrix[-1, i])]  # some had no eval set
        first = max(len(self.names) - len(self) - 1, 0)  # tasks before it were learned before anything was measured
        if baseline is not None and np.ndim(baseline) > 0:
            baseline = np.asarray(baseline)[scored][first:]
        matrix = matrix[np.ix_(scored, scored)]
        final, recent, several = matrix[-1][~np.isnan(matrix[-1])], matrix[first:, first:], len(matrix) > 1
        comparable = baseline is not None and len(recent) > 1 and not np.isnan(np.diag(recent, 1)).any()
        return ContinualSummary(
            average_accuracy=float(final.mean()) if len(final) else None,
            backward_transfer=backward_transfer(matrix) if several else None,
            forward_transfer=forward_transfer(recent, baseline) if comparable else None,  # type: ignore[arg-type]
            forgetting=forgetting(matrix) if several else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Names, matrix and summary as JSON can hold them: None for what was not measured."""
        matrix = [[None if np.isnan(score) else float(score) for score in row] for row in self.matrix]
        return {"tasks": self.names, "matrix": matrix, "summary": asdict(self.summary())}


def _square(scores: ArrayLike, least: int = 1) -> np.ndarray:
    matrix = _numbers(scores, "scores")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise DataError(f"scores have shape {matrix.shape}; (tasks, tasks) is needed, a row after each task learned.")
    if len(matrix) < least:
        raise DataError(f"scores of {len(matrix)} tasks; at least {least} are needed to compare an earlier one.")
    return matrix


def _numbers(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers, NaN where not measured: {error}") from error


def _measured(values: np.ndarray, when: str) -> np.ndarray:
    if np.isnan(values).any():
        place = int(np.flatnonzero(np.isnan(values))[0])
        raise DataError(f"a score {when} is missing (number {place} of {len(values)}, from 0); measure it first.")
    return values
