"""How a study looks in the terminal: what is running, how far it is, how long it will take."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from hf_transfer_kit.reporting import quantities
from hf_transfer_kit.checking.view import checks_to_terminal
from hf_transfer_kit.events import Event
from hf_transfer_kit.findings import CheckReport


class StudyProgress:
    """Two bars, all runs and the current one, with a line per finished run; plain lines where nobody watches.

    Use as a context manager around `study.carry_out`.
    """

    def __init__(self, console: Console):
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=30), TaskProgressColumn(),
            TextColumn("{task.fields[left]}"), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._all = self._bars.add_task("starting", total=None, left="")
        self._current = self._bars.add_task("reading the data", total=None, left="")
        self._started = 0.0
        self._run_started = 0.0
        self._worked = 0

    def __enter__(self) -> "StudyProgress":
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def data_loaded(self, notes: Sequence[str], checks: CheckReport) -> None:
        """Prints what was decided about the data, and what the checks found."""
        for note in notes:
            self._console.print(Text(f"  {note}", style="dim"))
        rows = ", ".join(f"{count} {part}" for part, count in checks.rows.items())
        self._console.print(f"[bold]Data[/]: {rows} rows, {checks.classes} classes")
        self._console.print(checks_to_terminal(checks))
        self._started = time.monotonic()

    def run_started(self, name: str, number: int, total: int) -> None:
        """Moves both bars to run `number` of `total`."""
        left = self._time_left(number - 1, total)
        self._bars.update(
            self._all, description=f"run {number} of {total}", completed=number - 1, total=total, left=left
        )
        self._bars.update(self._current, description=escape(name), completed=0, total=None, left="")
        self._run_started = time.monotonic()

    def run_event(self, event: Event) -> None:
        """Moves the bar of the current run."""
        if event.kind == "stage":
            self._bars.update(self._current, completed=0, total=None, left=escape(event.message))
        elif event.kind == "progress" and event.total:
            spent = time.monotonic() - self._run_started
            left = spent / max(event.done, 1) * (event.total - event.done)
            text = f"{event.stage} {event.done}/{event.total}, at most {quantities.seconds(left)} left"
            self._bars.update(self._current, completed=event.done, total=event.total, left=text)

    def run_ended(self, name: str, message: str, seconds: float, skipped: bool) -> None:
        """Prints how the run ended."""
        if message:
            self._console.print(Text(f"  failed    {name}: {message}", style="red"))
        elif skipped:
            self._console.print(Text(f"  kept      {name}", style="dim"))
        else:
            self._worked += 1
            self._console.print(Text(f"  finished  {name} in {quantities.seconds(seconds)}"))

    def _time_left(self, done: int, total: int) -> str:
        """The rest at the pace so far; cheap runs come first, so early guesses are too low, and say so."""
        if not self._worked:
            return ""
        pace = (time.monotonic() - self._started) / self._worked
        return f"about {quantities.seconds(pace * (total - done))} left at the pace so far"
