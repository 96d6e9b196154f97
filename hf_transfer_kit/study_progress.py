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
        self._run_started = 0.0
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
        self._bars.reset(self._all, total=total, completed=number - 1, description=f"run {number} of {total}")
        self._bars.update(self._all, left=self._time_left(number - 1))
        self._bars.reset(self._current, total=None, description=f"  {name}", left="starting")
        self._run_started = time.monotonic()
        self._stage = ""

    def run_event(self, event: Event) -> None:
        """Moves the bar of the current run."""
        if event.kind == "stage":
            self._bars.reset(self._current, total=None, left=event.message)
        elif event.kind == "progress" and event.total:
            if event.stage != self._stage:
                self._stage, self._stage_started = event.stage, time.monotonic()
                self._bars.reset(self._current, total=event.total)
            left = _rest(time.monotonic() - self._stage_started, event.done, event.total)
            text = f"{event.stage} {event.done}/{event.total}{left}"
            self._bars.update(self._current, completed=event.done, total=event.total, left=text)

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

    def _time_left(self, done: int) -> str:
        return time_left(self._names[done:], self._spent)


def time_left(names: Sequence[str], spent: Mapping[str, Sequence[float]]) -> str:
    """How long the runs `names` will take, given the seconds `spent` on finished ones of each arm (name without seed).

    An arm without a finished run is taken to last as long as the longest so far; later ones are mostly dearer, so then
    it is "at least". Nothing is said before a first run has ended.

    Example:
        >>> time_left(["m/full/all/seed-1", "m/full/all/seed-2"], {"m/full/all": [30.0]})
        'about 1 min 0 s left'
        >>> time_left(["m/lora/all/seed-0"], {"m/full/all": [30.0]})
        'at least 30 s left'
    """
    if not spent:
        return ""
    means = {arm: mean(seconds) for arm, seconds in spent.items()}
    left = sum(means.get(_arm(name), max(means.values())) for name in names)
    known = all(_arm(name) in means for name in names)
    return f"{'about' if known else 'at least'} {quantities.seconds(left)} left"


def _arm(name: str) -> str:
    return name.rpartition("/")[0]


def _rest(spent: float, done: int, total: int) -> str:
    """The rest of a stage at its pace so far; training may stop early, so it is an upper bound."""
    if done >= total or done < 1 or spent < 1:
        return ""
    return f", at most {quantities.seconds(spent / done * (total - done))}"
