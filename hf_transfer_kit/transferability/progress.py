"""How a ranking looks in the terminal while it runs: one bar; plain lines where nobody watches."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text


class RankProgress:
    """To be given to `rank` as `on_progress`; use as a context manager around it."""

    def __init__(self, console: Console):
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
            console=console, transient=True, disable=not console.is_terminal, refresh_per_second=4,
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=None)
        self._what = ""

    def __enter__(self) -> "RankProgress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows what goes on, and how far it is."""
        if what != self._what:
            self._what = what
            self._bar.reset(self._task, total=None, description=what)
            if not self._console.is_terminal:
                self._console.print(Text(what, style="dim"), soft_wrap=True)
        self._bar.update(self._task, completed=done, total=total or None)
