"""What the events of a job tell, read as they are written: how far it is, its curves, what trains."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.app.jobs.curve import Curve
from hf_transfer_kit.app.jobs.pace import SteadyPace
from hf_transfer_kit.events import Event, EventFollower

OPEN, TRAINABLE = "open_blocks", "trainable_parameters"  # logged by gradual unfreezing
DRAWN_STAGES = ("training", "")  # a model that learns its old data first is no part of the curves
_DRAWN = ("loss", "eval_accuracy", "eval_loss", "forgetting", OPEN, TRAINABLE)
_DRAWN_STARTS = ("old_", "new_", "average_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A phase of gradual unfreezing.

    Fields:
        step: the last one that was seen before it; it began after that.
        open_blocks: units that train; the head is one of them.
        trainable_parameters: numbers in them.
    """

    step: int
    open_blocks: int
    trainable_parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the events of a job have told so far.

    Fields:
        stage, message: what it does: one of the stages of `events.Event`, and a sentence.
        done, total: units of the stage's work; total 0: unknown.
        seconds_left: of the stage, at the pace so far; None where there is none yet.
        started: when the job began, in seconds since 1970; None: not yet.
        seconds: it has worked, over all attempts.
        accuracy: on test, when it has finished.
        steps: that its training has; 0: unknown.
        curves: (step, number) by name, by step, at most 300 each.
        phases: of gradual unfreezing, by step.
    """

    stage: str = ""
    message: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    started: float | None = None
    seconds: float = 0.0
    accuracy: float | None = None
    steps: int = 0
    curves: dict[str, tuple[tuple[int, float], ...]]
    phases: tuple[Phase, ...] = ()


class Feed:
    """The events of one job. Each byte is read once, and little of it kept, however long the job.

    Where an attempt goes on from a checkpoint, what was lost is cut off the curves: they end as those of a run that
    was never stopped.

    Args:
        path: of events.jsonl; need not exist yet.
    """

    def __init__(self, path: Path):
        self._follower = EventFollower(path)
        self._stage, self._message, self._done, self._total, self._steps = "", "", 0, 0, 0
        self._started: float | None = None
        self._seconds, self._last_time = 0.0, math.inf
        self._accuracy: float | None = None
        self._pace = SteadyPace()
        self._curves: dict[str, Curve] = {}
        self._resumed = False  # a new attempt began, and has not said yet where it goes on

    def read(self) -> Told:
        """All that is told by now.

        Raises:
            FormatError: the file has another format or version.
        """
        for events in self._follower.blocks():
            self._take(events)
        left = self._pace.left(self._done, self._total) if self._total else None
        return Told(
            stage=self._stage, message=self._message, done=self._done, total=self._total, seconds_left=left,
            started=self._started, seconds=self._seconds, accuracy=self._accuracy, steps=self._steps,
            curves={name: curve.points for name, curve in self._curves.items() if name not in (OPEN, TRAINABLE)},
            phases=self._phases(),
        )  # fmt: skip

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.kind == "start":
                self._begin(event)
            self._seconds += max(event.time - self._last_time, 0.0)
            self._last_time = event.time
            if event.kind == "error":
                self._message = event.message
            elif event.kind in ("start", "stage", "finish"):
                self._enter(event)
            elif event.total:
                self._go_on(event)
            if event.kind == "log" and event.stage in DRAWN_STAGES:
                self._draw(event)

    def _begin(self, event: Event) -> None:
        self._started = event.time if self._started is None else self._started
        self._last_time, self._accuracy, self._resumed = event.time, None, True

    def _enter(self, event: Event) -> None:
        self._stage, self._message = event.stage, event.message
        self._done, self._total, self._pace = 0, 0, SteadyPace()
        if event.kind == "finish":
            self._accuracy = event.values.get("accuracy")

    def _go_on(self, event: Event) -> None:
        if event.stage in DRAWN_STAGES:
            self._steps = event.total
            if self._resumed:
                self._cut(event.done)
            self._resumed = False
        self._stage, self._done, self._total = event.stage or self._stage, event.done, event.total
        if event.kind == "progress":
            self._message = event.message or self._message
            self._pace.add(event.done, event.time)

    def _cut(self, step: int) -> None:
        for curve in self._curves.values():
            curve.cut(step)

    def _draw(self, event: Event) -> None:
        for name, value in event.values.items():
            if name in _DRAWN or name.startswith(_DRAWN_STARTS):
                self._curves.setdefault(name, Curve()).add(event.done, value)

    def _phases(self) -> tuple[Phase, ...]:
        """Where the number of open units changes."""
        found: list[Phase] = []
        before = 0
        units, trainable = (self._curves.get(name, Curve()).points for name in (OPEN, TRAINABLE))
        for (step, opened), (_, parameters) in zip(units, trainable, strict=False):
            if not found or found[-1].open_blocks != round(opened):
                found.append(Phase(step=before, open_blocks=round(opened), trainable_parameters=round(parameters)))
            before = step
        return tuple(found)
