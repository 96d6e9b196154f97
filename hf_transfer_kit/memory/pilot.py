"""Time and money of a whole run, extrapolated from a few measured steps. An estimate, and always shown as one.

    transfer-kit run plan.yaml --pilot --dollars-per-hour 0.6
    print(pilot(plan, dollars_per_hour=0.6))            # the same
    print(forecast_from_events(folder / "events.jsonl"))  # of a run while it works

Imports no torch.
"""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean, quantiles
from tempfile import TemporaryDirectory

from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.events import Event, read_events
from hf_transfer_kit.plan import TRAINED, TransferPlan
from hf_transfer_kit.reporting.quantities import mebibytes
from hf_transfer_kit.reporting.quantities import seconds as shown_seconds

STEPS = 20  # of a pilot
FEWEST = 3  # steps, the first not counted: it warms up
STAGE = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How long a run will take, and what it will cost, as far as a pilot tells.

    Fields:
        seconds: of the whole run; low, high: were all its steps like a fast (slow) tenth of those measured.
        measured: steps that were measured; steps: that the run has.
        dollars_per_hour: price of the machine; None: not asked for.
        peak_mib: highest memory above that at the start, as measured; None: not measured.
    """

    seconds: float
    low: float
    high: float
    measured: int
    steps: int
    dollars_per_hour: float | None = None
    peak_mib: float | None = None

    @property
    def dollars(self) -> tuple[float, float, float] | None:
        """(expected, low, high) price; None without a price per hour."""
        if self.dollars_per_hour is None:
            return None
        expected, low, high = (each / 3600 * self.dollars_per_hour for each in (self.seconds, self.low, self.high))
        return expected, low, high

    def __str__(self) -> str:
        time = f"{shown_seconds(self.seconds)} ({shown_seconds(self.low)} to {shown_seconds(self.high)})"
        price = ""
        if self.dollars is not None:
            expected, low, high = self.dollars
            price = f", ${expected:.2f} (${low:.2f} to ${high:.2f}) at ${self.dollars_per_hour:g} an hour"
        memory = "" if self.peak_mib is None else f", {mebibytes(self.peak_mib)} of memory"
        return f"estimate from {self.measured} of {self.steps} steps: {time}{price}{memory}"


def forecast(
    step_seconds: Sequence[float], steps: int, *, other_seconds: float = 0.0, dollars_per_hour: float | None = None
) -> Forecast:
    """A run of `steps` steps, from the seconds of a few; the first of them is left out, since it warms up.

    Args:
        other_seconds: of what happens once: loading, the answers at the end.

    Raises:
        DataError: fewer than three steps were measured.
        PlanError: `steps` or the price makes no sense.

    Example:
        >>> print(forecast([9.0, 2.0, 2.0, 2.0], steps=600, other_seconds=60, dollars_per_hour=3.0))
        estimate from 3 of 600 steps: 21 min 0 s (21 min 0 s to 21 min 0 s), $1.05 ($1.05 to $1.05) at $3 an hour
    """
    if len(step_seconds) < FEWEST:
        raise DataError(f"{len(step_seconds)} steps are too few for a forecast; measure {FEWEST} or more, best 20.")
    if steps < 1 or other_seconds < 0 or (dollars_per_hour is not None and dollars_per_hour < 0):
        raise PlanError(
            f"steps={steps}, other_seconds={other_seconds:g}, dollars_per_hour={dollars_per_hour}: "
            "steps must be >= 1, and none may be negative."
        )
    warm = step_seconds[1:]
    tenths = quantiles(warm, n=10, method="inclusive")
    low, high = min(tenths[0], mean(warm)), max(tenths[-1], mean(warm))
    whole = [other_seconds + steps * each for each in (mean(warm), low, high)]
    return Forecast(
        seconds=whole[0], low=whole[1], high=whole[2], measured=len(warm), steps=steps,
        dollars_per_hour=dollars_per_hour,
    )  # fmt: skip


def forecast_from_events(path: Path, steps: int | None = None, dollars_per_hour: float | None = None) -> Forecast:
    """The same, from the events of a run: of a finished pilot, or of the run itself while it works.

    Evaluations between the steps count with them. Steps that follow each other faster than ten a second are told of
    together, and count as equally long.

    Args:
        path: the run's events.jsonl; its last attempt counts.
        steps: of the whole run; None: as many as the run itself has.

    Raises:
        DataError: the file holds too few training steps.
        FormatError: the file has another format.

    Example:
        >>> forecast_from_events(Path("runs/pilot/events.jsonl"), steps=900)  # doctest: +SKIP
    """
    started, after_training = 0.0, 0.0
    told: list[Event] = []
    for event in read_events(path):
        if event.kind == "start":
            started, after_training, told = event.time, 0.0, []
        elif event.kind == "progress" and event.stage == STAGE:
            told.append(event)
        elif event.kind == "finish" and told:
            after_training = event.time - told[-1].time
    if len(told) < 2:
        raise DataError(f"'{path}' tells of too few training steps; let the pilot take {FEWEST} steps or more.")
    each: list[float] = []
    for before, after in pairwise(told):
        count = max(after.done - before.done, 1)
        each += [(after.time - before.time) / count] * count
    first = told[0].time - started  # loading, and the first steps
    return forecast(
        [first, *each], steps or told[-1].total, other_seconds=max(first, 0.0) + after_training,
        dollars_per_hour=dollars_per_hour,
    )  # fmt: skip


def pilot(plan: TransferPlan, *, steps: int = STEPS, dollars_per_hour: float | None = None) -> Forecast:
    """Runs `short_plan` in a temporary folder and says what the whole takes, if validation does not stop it earlier.

    Raises:
        PlanError: the approach takes no steps, or the price makes no sense.
        TransferKitError: as of `run`.

    Example:
        >>> print(pilot(plan, dollars_per_hour=0.6))  # doctest: +SKIP
        estimate from 19 of 3130 steps: 52 min 10 s (48 min 2 s to 57 min 31 s), $0.52 ($0.48 to $0.58) at $0.6 an hour
    """
    from hf_transfer_kit.data.labelled import load_data, subset_rows
    from hf_transfer_kit.run import EVENTS_FILE, run

    short_plan(plan)  # what takes no steps is said before the data are read
    rows = len(subset_rows(load_data(plan.data), plan.data.train_size, plan.seed)["train"])
    with TemporaryDirectory() as temporary, redirect_stdout(io.StringIO()):  # the Trainer prints its losses
        folder = Path(temporary) / "pilot"
        record = run(short_plan(plan, steps, rows), folder)
        found = forecast_from_events(folder / EVENTS_FILE, whole_steps(plan, rows), dollars_per_hour)
    return replace(found, peak_mib=record.cost.peak_memory_mib)


def short_plan(plan: TransferPlan, steps: int = STEPS, rows: int | None = None) -> TransferPlan:
    """The plan with one pass over as many training rows as `steps` batches hold: the pilot.

    Args:
        rows: that there are; where they are too few, all of them are passed until `FEWEST` + 1 steps are taken.

    Raises:
        PlanError: the approach takes no steps.

    Example:
        >>> short_plan(plan, steps=20).data.train_size  # doctest: +SKIP
        320
    """
    if not isinstance(plan.approach, TRAINED):
        raise PlanError(f"approach '{plan.approach.name}' takes no training steps; run it, it is short.")
    size = max(steps, FEWEST) * plan.training.batch_size
    size = size if rows is None else min(size, rows)
    data = replace(plan.data, train_size=size)
    return replace(plan, data=data, training=replace(plan.training, epochs=1, min_steps=FEWEST + 1))


def whole_steps(plan: TransferPlan, rows: int) -> int:
    """Optimizer steps of `plan` on `rows` training rows, if validation does not stop it earlier.

    Example:
        >>> from hf_transfer_kit.plan import DataSpec, Full, ModelSpec
        >>> plan = TransferPlan(data=DataSpec(path="a.csv"), model=ModelSpec(name="m"), approach=Full())
        >>> whole_steps(plan, rows=5000)  # ten epochs of 313 batches
        3130
    """
    each = -(-rows // plan.training.batch_size)
    return max(plan.training.epochs, -(-plan.training.min_steps // each)) * each
