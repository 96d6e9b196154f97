"""How a study looks in the terminal: what is running, how far it is, how long it will take."""

import time
from collections.abc import Mapping, Sequence
from statistics import mean

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from hf_transfer_kit.checking.view import checks_to_terminal
from hf_transfer_kit.events import Event
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.reporting import quantities


class StudyProgress:
    """Two bars, all runs and the current one, with a line per finished run; plain lines where nobody watches.

    Use as a context manager around `study.carry_out`.
    """

    def __init__(self, console: Console):
        self._console = console
        narrow = console.width < 100
        one_line = {"no_wrap": True, "overflow": "ellipsis"}
        self._bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=3, **one_line)),  # type: ignore[arg-type]
            BarColumn(bar_width=12 if narrow else 30), TaskProgressColumn(),
            TextColumn("{task.fields[left]}", markup=False, table_column=Column(ratio=3, **one_line)),  # type: ignore[arg-type]
            console=console, transient=True, disable=not console.is_terminal, expand=True, refresh_per_second=4,
        )  # fmt: skip
        self._all = self._bars.add_task("starting", total=None, left="")
        self._current = self._bars.add_task("", total=None, left="", visible=False)
        self._names: Sequence[str] = ()
        self._spent: dict[str, list[float]] = {}
        self._number, self._run_started = 0, 0.0
        self._stage, self._stage_started = "", 0.0

    def __enter__(self) -> "StudyProgress":
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def preparing(self, what: str, done: int = 0, total: int = 0) -> None:
        """Shows what goes on before the first run."""
        self._bars.update(self._all, description=what, completed=done, total=total or None)

    def data_loaded(self, notes: Sequence[str], checks: CheckReport) -> None:
        """Prints what was decided about the data, and what the checks found."""
        self._line("Data", "bold")
        rows = ", ".join(f"{quantities.whole(count)} {part}" for part, count in checks.rows.items())
        self._line(f"  {rows} rows, {checks.classes} classes")
        for note in notes:
            self._line(f"  {note}", "dim")
        self._console.print(checks_to_terminal(checks))

    def runs_planned(self, missing: Sequence[str], kept: int) -> None:
        """Says how many runs are to come, and how many are there already."""
        self._names = missing
        before = f", {kept} finished before are kept" if kept else ""
        self._line(f"Runs: {len(missing)} to do{before}", "bold")
        self._bars.update(self._current, visible=bool(missing))

    def run_started(self, name: str, number: int, total: int) -> None:
        """Moves both bars to run `number` of `total`."""
        self._number, self._run_started, self._stage = number, time.monotonic(), ""
        self._bars.reset(self._all, total=total, completed=number - 1, description=f"run {number} of {total}", left="")
        self._bars.reset(self._current, total=None, description=f"  {_shown(name)}", left="starting")
        self._show_time_left(0.0)

    def run_event(self, event: Event) -> None:
        """Moves the bar of the current run."""
        if event.kind == "stage":
            self._bars.reset(self._current, total=None, left=event.message)
        elif event.kind == "progress" and event.total:
            if event.stage != self._stage:
                self._stage, self._stage_started = event.stage, time.monotonic()
                self._bars.reset(self._current, total=event.total)
            spent = time.monotonic() - self._stage_started
            rest = spent / event.done * (event.total - event.done) if event.done and spent > 1 else 0.0
            at_most = f", at most {quantities.seconds(rest)}" if rest >= 1 else ""  # training may stop early
            text = f"{event.stage} {event.done}/{event.total}{at_most}"
            self._bars.update(self._current, completed=event.done, total=event.total, left=text)
            self._show_time_left(rest)

    def run_ended(self, name: str, message: str, seconds: float) -> None:
        """Prints how the run ended."""
        if message:
            self._line(f"  failed    {name}: {message}", "red")
        else:
            self._spent.setdefault(_arm(name), []).append(seconds)
            self._line(f"  finished  {name} in {quantities.seconds(seconds)}")

    def _line(self, text: str, style: str = "") -> None:
        """A line that is cut nowhere: the terminal wraps it, a file keeps it whole."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def _show_time_left(self, rest: float) -> None:
        """Of all runs, where the current stage of the current one has `rest` seconds to go; 0: not known."""
        elapsed = time.monotonic() - self._run_started
        current, *later = self._names[self._number - 1 :]
        left = seconds_left(current, later, self._spent, elapsed, rest)
        text = "" if left is None else f"about {quantities.seconds(max(left, 1.0))} left"
        self._bars.update(self._all, left=text)


def seconds_left(
    current: str, later: Sequence[str], spent: Mapping[str, Sequence[float]], elapsed: float, rest: float
) -> float | None:
    """Seconds until all runs are done; None where nothing is known yet.

    A run lasts as long as finished ones of its arm (its name without the seed) did on average; one of another arm as
    long as the longest so far, as cheap arms come first.

    Args:
        current, later: names of the run at work and of those after it.
        spent: seconds of the finished runs, by arm.
        elapsed: seconds since the current run began.
        rest: seconds that its current stage will take at its pace so far; 0: not known.

    Example:
        >>> seconds_left("m/full/all/seed-1", ["m/full/all/seed-2"], {"m/full/all": [30.0]}, elapsed=10.0, rest=0.0)
        50.0
        >>> seconds_left("m/full/all/seed-0", [], {}, elapsed=10.0, rest=25.0)
        25.0
    """
    means = {arm: mean(seconds) for arm, seconds in spent.items()}
    if rest:
        means.setdefault(_arm(current), elapsed + rest)
    if not means:
        return None
    longest = max(means.values())
    now = min(rest or longest, max(means.get(_arm(current), longest) - elapsed, 0.0))
    return now + sum(means.get(_arm(name), longest) for name in later)


def _arm(name: str) -> str:
    return name.rpartition("/")[0]


def _shown(name: str) -> str:
    """A run's name with what tells it from its neighbours first, as narrow terminals cut the end."""
    model, approach, size, seed = name.rsplit("/", 3)
    examples = "" if size == "all" else f" {size} examples"
    return f"{approach}{examples} {seed}" + ("" if model == "controls" else f" · {model}")
