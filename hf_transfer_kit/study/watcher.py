"""Who is told how a study goes."""

from collections.abc import Sequence
from typing import Protocol

from hf_transfer_kit.events import Event
from hf_transfer_kit.findings import CheckReport


class Watcher(Protocol):
    """Who is told how a study goes."""

    def preparing(self, what: str, done: int = 0, total: int = 0) -> None:
        """Before the first run: `what` goes on ("reading the data"); `total` 0: nobody knows how long."""

    def data_loaded(self, notes: Sequence[str], checks: CheckReport) -> None:
        """The data is read and checked."""

    def runs_planned(self, missing: Sequence[str], kept: int) -> None:
        """The runs to come, by name and in order; `kept` others have a record from before."""

    def run_started(self, name: str, number: int, total: int) -> None:
        """Run `number` (from 1) of `total` begins."""

    def run_event(self, event: Event) -> None:
        """The current run says something."""

    def run_ended(self, name: str, message: str, seconds: float) -> None:
        """The current run has a record, or failed with `message`."""


class Silent:
    """A Watcher that looks away."""

    def preparing(self, what: str, done: int = 0, total: int = 0) -> None:
        """Says nothing."""

    def data_loaded(self, notes: Sequence[str], checks: CheckReport) -> None:
        """Says nothing."""

    def runs_planned(self, missing: Sequence[str], kept: int) -> None:
        """Says nothing."""

    def run_started(self, name: str, number: int, total: int) -> None:
        """Says nothing."""

    def run_event(self, event: Event) -> None:
        """Says nothing."""

    def run_ended(self, name: str, message: str, seconds: float) -> None:
        """Says nothing."""
