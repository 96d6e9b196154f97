"""What a study says to whoever follows its folder: events.jsonl, as that of a run, with one scale over all runs.

kind "stage": stage "preparing", message "reading the data"
kind "progress": stage "runs", done 250, total 700, message "Run 3 of 7: few_shot, 16 shots"
kind "finish": message "7 runs are finished"
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.events import Event, EventWriter
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.study.folder import JOB_FILE
from hf_transfer_kit.study.watcher import Watcher

EVENTS_FILE = "events.jsonl"
PREPARING, RUNS = "preparing", "runs"
PER_RUN = 100  # units of the scale
EVERY_SECONDS = 0.2


class StudyEvents:
    """A Watcher that writes `out`/events.jsonl and passes everything on; use as a context manager around `carry_out`.

    In a job's folder from the first moment on; elsewhere once the folder is this study's, so that one that cannot
    begin leaves no file. What cannot be written for want of room is left out: it must not end the work.

    Args:
        out: the folder of the study.
        beside: another watcher, which is told the same.

    Example:
        >>> with StudyEvents(out, StudyProgress(Console())) as watcher:  # doctest: +SKIP
        ...     carry_out(study, out, watcher)
    """

    def __init__(self, out: Path, beside: Watcher):
        self._out, self._beside = out, beside
        self._writer: EventWriter | None = None
        self._may_write = False
        self._names: Sequence[str] = ()
        self._said, self._last = "", 0.0
        self._number, self._done, self._kept = 0, 0, 0
        self._failures: list[str] = []

    def __enter__(self) -> "StudyEvents":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._write("error", message="interrupted; start the same command again to continue")
        elif error is not None:
            said = str(error) if isinstance(error, TransferKitError | OSError) else f"{type(error).__name__}: {error}"
            self._write("error", message=said)
        elif self._failures:
            count = f"{len(self._failures)} of {len(self._names)} runs failed"
            self._write("error", message=f"{count}; {self._failures[0]} The same command tries again.")
        else:
            kept = f", {self._kept} of them before" if self._kept else ""
            self._write("finish", message=f"{len(self._names) + self._kept} runs are finished{kept}")
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.__exit__(None, None, None)

    def preparing(self, what: str, done: int = 0, total: int = 0) -> None:
        """A stage for each `what`, and how far it is."""
        self._may_write = self._may_write or (self._out / JOB_FILE).exists()
        if what != self._said:
            self._said = what
            self._write("stage", stage=PREPARING, message=what)
        if total and (done == total or self._is_time()):
            self._progress(PREPARING, done, total, what)
        self._beside.preparing(what, done, total)

    def data_loaded(self, notes: Sequence[str], checks: CheckReport) -> None:
        """From here on the folder is this study's."""
        self._may_write = True
        self._beside.data_loaded(notes, checks)

    def runs_planned(self, missing: Sequence[str], kept: int) -> None:
        """The stage that lasts to the end."""
        self._names, self._kept = missing, kept
        self._write("stage", stage=RUNS, message="the runs begin" if missing else "writing the report")
        self._beside.runs_planned(missing, kept)

    def run_started(self, name: str, number: int, total: int) -> None:
        """Run `number` begins."""
        self._number, self._done, self._said = number, (number - 1) * PER_RUN, shown_run(name, self._names)
        self._show()
        self._beside.run_started(name, number, total)

    def run_event(self, event: Event) -> None:
        """How far the run is; the scale never runs backwards, though a run has several stages."""
        if event.kind == "progress" and event.total:
            share = min(event.done / event.total, 1.0)
            done = (self._number - 1) * PER_RUN + int((PER_RUN - 1) * share)
            if done > self._done and self._is_time():
                self._done = done
                self._show()
        self._beside.run_event(event)

    def run_ended(self, name: str, message: str, seconds: float) -> None:
        """The scale stands at the end of the run; a failure is told at the end of the study."""
        if message:
            self._failures.append(f"{shown_run(name, self._names)}: {message}")
        self._done = self._number * PER_RUN
        self._show()
        self._beside.run_ended(name, message, seconds)

    def _show(self) -> None:
        text = f"Run {self._number} of {len(self._names)}: {self._said}"
        self._progress(RUNS, self._done, len(self._names) * PER_RUN, text)

    def _is_time(self) -> bool:
        return time.monotonic() - self._last >= EVERY_SECONDS

    def _progress(self, stage: str, done: int, total: int, message: str) -> None:
        self._last = time.monotonic()
        self._write("progress", stage=stage, done=done, total=total, message=message)

    def _write(self, kind: str, *, stage: str = "", done: int = 0, total: int = 0, message: str = "") -> None:
        if not self._may_write:
            return
        with contextlib.suppress(OSError):
            if self._writer is None:
                self._writer = EventWriter(self._out / EVENTS_FILE)
                self._writer.write("start", message="a comparison")
            self._writer.write(kind, stage=stage, done=done, total=total, message=message)


def shown_run(name: str, among: Sequence[str]) -> str:
    """A run for people: method, shots, and what else tells it from the others.

    Example:
        >>> shown_run("m/few_shot-16/all/seed-0", ["m/few_shot-16/all/seed-0"])
        'few_shot, 16 shots'
        >>> shown_run("m/full/64/seed-1", ["m/full/64/seed-0", "m/full/64/seed-1"])
        'full, 64 examples, seed 1'
    """
    model, method, size, seed = name.rsplit("/", 3)
    several_models = len({each.rsplit("/", 3)[0] for each in among} - {"controls"}) > 1
    several_seeds = len({each.rsplit("/", 1)[1] for each in among}) > 1
    method, _, shots = method.partition("-")
    return ", ".join([
        method,
        *([f"{shots} shots"] if shots else []),
        *([f"{size} examples"] if size != "all" else []),
        *([seed.replace("-", " ")] if several_seeds else []),
        *([model] if several_models and model != "controls" else []),
    ])  # fmt: skip
