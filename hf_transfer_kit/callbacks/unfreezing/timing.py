"""At which step each phase of a schedule begins: after a number of epochs, or when a metric stops improving.

A pure function of the schedule, the length of an epoch and the Trainer's log, so a resumed run finds the same steps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers.trainer_utils import has_length

from hf_transfer_kit.callbacks.unfreezing.schedule import Schedule
from hf_transfer_kit.errors import PlanError, did_you_mean

_ROUNDING = 1e-9  # 0.1 + 0.2 epochs are 0.3 epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How optimizer steps and epochs relate, as the Trainer counts them.

    Fields:
        batches: per epoch and process, >= 1; of data without a length, of the whole training, which then is one epoch.
        accumulation: batches per optimizer step; the last step of an epoch takes what is left.

    Example:
        >>> pace = Pace(batches=5, accumulation=2)
        >>> [pace.epoch_at(step) for step in range(5)], pace.step_at(0.5)
        ([0.0, 0.4, 0.8, 1.0, 1.4], 2)
    """

    batches: int
    accumulation: int

    @classmethod
    def of(cls, train_dataloader: Any, args: Any, state: Any) -> "Pace":
        """The pace of a training, from what the Trainer hands to callbacks."""
        batches = len(train_dataloader) if has_length(train_dataloader) else 0
        accumulation = args.gradient_accumulation_steps
        return cls(batches=batches or state.max_steps * accumulation, accumulation=accumulation)

    @property
    def steps(self) -> int:
        """Optimizer steps per epoch."""
        return math.ceil(self.batches / self.accumulation)

    def epoch_at(self, step: int) -> float:
        """The Trainer's `state.epoch` after `step` steps."""
        whole, rest = divmod(step, self.steps)
        return whole + rest * self.accumulation / self.batches

    def step_at(self, epoch: float) -> int:
        """The number of steps after which `epoch` is reached; 0.1 + 0.2 counts as 0.3."""
        epoch -= _ROUNDING * max(epoch, 1.0)
        whole = math.floor(epoch)
        return max(whole * self.steps + math.ceil((epoch - whole) * self.batches / self.accumulation), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """Ends a phase when a metric of evaluation has not improved for some evaluations.

    Each phase is judged by its own evaluations; the first of them is what the others must beat.

    Fields:
        metric: as the Trainer logs it, "eval_loss" for example.
        patience: evaluations in a row without improvement, >= 1.
        min_delta: a change up to this is no improvement, >= 0.
        greater_is_better: None: unless the name ends with "loss", as in TrainingArguments.
        most_epochs: a phase ends after this many epochs in any case; None: no limit.

    Raises:
        PlanError: a number is out of range.
    """

    metric: str = "eval_loss"
    patience: int = 1
    min_delta: float = 0.0
    greater_is_better: bool | None = None
    most_epochs: float | None = None

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise PlanError(f"Plateau patience={self.patience} must be >= 1; use 1 to open at the first stall.")
        if not self.min_delta >= 0:
            raise PlanError(f"Plateau min_delta={self.min_delta} is negative; use 0.")
        if self.most_epochs is not None and not self.most_epochs > 0:
            raise PlanError(f"Plateau most_epochs={self.most_epochs} must be > 0; use None for no limit.")

    def scores(self, log_history: Sequence[Mapping[str, Any]]) -> dict[int, float]:
        """The metric after each step at which it was logged, larger is better.

        Raises:
            PlanError: there were evaluations, but none logged the metric.
        """
        sign = (
            1
            if (not self.metric.endswith("loss") if self.greater_is_better is None else self.greater_is_better)
            else -1
        )
        found = {entry["step"]: sign * float(entry[self.metric]) for entry in log_history if self.metric in entry}
        evaluated = {name for entry in log_history for name in entry if name.startswith("eval_")}
        if evaluated and not found:
            raise PlanError(f"plateau: no evaluation logged '{self.metric}'; {did_you_mean(self.metric, evaluated)}")
        return found

    def stalls_at(self, scores: Mapping[int, float], start: int) -> float:
        """The step at which a phase that began at step `start` has stalled; infinite if it has not."""
        best, waited = -math.inf, -1
        for step in sorted(step for step in scores if step > start):
            improved = scores[step] > best + self.min_delta or waited < 0
            best, waited = (scores[step], 0) if improved else (best, waited + 1)
            if math.isnan(best):
                best = -math.inf
            if waited >= self.patience:
                return step
        return math.inf


def first_steps(
    schedule: Schedule, pace: Pace, plateau: Plateau | None = None, scores: Mapping[int, float] | None = None
) -> list[int]:
    """The number of steps before each phase, as far as it is known; phases may be missing at the end.

    Example:
        >>> from hf_transfer_kit.callbacks.unfreezing.schedule import Phase
        >>> phases = Phase(opens=("head",), epochs=0.5), Phase(opens=("block 1",), epochs=1.0), Phase(opens=("stem",))
        >>> first_steps(Schedule(phases=phases), Pace(batches=8, accumulation=2))
        [0, 2, 6]
    """
    starts, epoch = [0], 0.0
    for phase in schedule.phases[:-1]:
        limit = math.inf if phase.epochs is None else pace.step_at(epoch + phase.epochs)
        stall = math.inf if plateau is None else plateau.stalls_at(scores or {}, starts[-1])
        if min(limit, stall) == math.inf:
            break
        starts.append(int(min(limit, stall)))
        # Whole phases are added up as epochs, for rounding each to steps would make them all a little longer.
        epoch = pace.epoch_at(starts[-1]) if stall < limit or phase.epochs is None else epoch + phase.epochs
    return starts
