"""Follow a run while it works: its events as they are written, drawn as a bar, or as plain lines where nobody watches.

stop = threading.Event()
thread = threading.Thread(target=follow, args=(folder / "events.jsonl", stop, print))
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from hf_transfer_kit.events import Event, EventFollower
from hf_transfer_kit.reporting.quantities import seconds

POLL_SECONDS = 0.1
PLAIN_LINES = 10  # lines per stage where nobody watches


def follow(path: Path, stop: threading.Event, show: Callable[[Event], None], *, start: int = 0) -> None:
    """Calls `show` with every event of the file at `path`, in order, until `stop` is set; then once more.

    The file need not exist yet. Each byte is read once, so a long file costs nothing.

    Args:
        start: byte to begin at: the size of the file before this attempt, to leave out the events of earlier ones.

    Raises:
        FormatError: the file has another format or version.
    """
    events = EventFollower(path, start)
    while True:
        last = stop.is_set()
        for event in events.new():
            show(event)
        if last:
            return
        stop.wait(POLL_SECONDS)


class RunProgress:
    """Shows one run: what it does, how far it is, how long that will take. Use as a context manager around the run.

    Args:
        path: of the events; those that are there already belong to earlier attempts and are left out.
        console: where to draw.
        start: byte of the file to begin at, to show also what is there already; None: its end.
    """

    def __init__(self, path: Path, console: Console, *, start: int | None = None):
        self._path, self._console, self._start = path, console, start
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._bar = self._bars.add_task("starting", total=None, left="")
        self._pace = Pace()
        self._lines_printed = 0
        self._stop = threading.Event()

    def __enter__(self) -> "RunProgress":
        size = self._path.stat().st_size if self._path.exists() else 0
        start = size if self._start is None else self._start
        self._thread = threading.Thread(
            target=follow, args=(self._path, self._stop, self.show), kwargs={"start": start}, daemon=True
        )
        self._bars.start()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._bars.stop()

    def show(self, event: Event) -> None:
        """Draws one event."""
        if event.kind == "stage":
            self._pace, self._lines_printed = Pace(), 0
            self._bars.update(self._bar, description=Text(event.message).markup, completed=0, total=None, left="")
            if not self._console.is_terminal:
                self._print(event.message)
        elif event.kind == "progress" and event.total:
            self._show_progress(event)
        elif event.kind == "log" and "eval_accuracy" in event.values:
            self._print(f"step {event.done}: validation accuracy {event.values['eval_accuracy']:.3f}")
        elif event.kind in ("start", "finish"):
            self._print(event.message)

    def _show_progress(self, event: Event) -> None:
        left = self._pace.left(event.done, event.total, event.time)
        text = f"{seconds(left)} left" if left is not None else ""
        self._bars.update(self._bar, completed=event.done, total=event.total, left=text)
        tenths = event.done * PLAIN_LINES // event.total
        if not self._console.is_terminal and tenths > self._lines_printed:
            self._lines_printed = tenths
            self._print(f"{event.stage} {event.done}/{event.total}" + (f", {text}" if text else ""))

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class Pace:
    """How long a stage will take, from its first progress on: a resumed one begins in the middle.

    Example:
        >>> pace = Pace()
        >>> pace.left(40, 100, now=0.0), pace.left(50, 100, now=20.0)
        (None, 100.0)
    """

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def left(self, done: int, total: int, now: float | None = None) -> float | None:
        """Seconds left at the pace so far; None before there is one."""
        now = time.time() if now is None else now
        if self._first is None or done < self._first[0]:
            self._first = (done, now)
        before, started = self._first
        return (now - started) / (done - before) * (total - done) if done > before else None
