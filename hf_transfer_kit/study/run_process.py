"""One run in a process of its own.

Its memory is measured from a clean start, and what kills it (memory, a driver) does not kill the study.
"""

import errno
import multiprocessing
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path
from types import ModuleType
from typing import Any

from hf_transfer_kit.errors import OutputError, ResourceError
from hf_transfer_kit.events import Event, EventFollower
from hf_transfer_kit.plan import TransferPlan
from hf_transfer_kit.study.worker import DISK_FULL, KIT_ERROR, work

POLL_SECONDS = 0.2
LEAST_FREE_BYTES = 1 << 20  # a disk with less is full


class RunProcesses:
    """Starts runs, one at a time; where the system can, with the libraries imported once for all."""

    def __init__(self) -> None:
        self._context: Any = _context()

    def run(self, plan: TransferPlan, folder: Path, on_event: Callable[[Event], None]) -> str:
        """Runs `plan` in `folder` to its end, passing its events on; why it failed, or "".

        Raises:
            ResourceError: the disk is full; the runs to come would fail too.
            OutputError: the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ResourceError(_disk_full(folder)) from error
            raise OutputError(f"'{folder}' cannot be made ({error.strerror}); choose another --out.") from error
        path = folder / "events.jsonl"
        events = EventFollower(path, start=path.stat().st_size if path.exists() else 0)
        process = self._context.Process(target=work, args=(plan.to_yaml(), str(folder)), daemon=True)
        with _no_main():
            process.start()
        last_error = ""
        try:
            while True:
                alive = process.is_alive()  # asked before reading: what a dead process wrote is read once more
                for event in events.new():
                    last_error = event.message if event.kind == "error" else last_error
                    on_event(event)
                if not alive:
                    break
                process.join(POLL_SECONDS)
        except BaseException:
            _end(process)
            raise
        return _why(process.exitcode, last_error, folder)


def _context() -> BaseContext:
    """Processes that start with the libraries imported, where the system can do that."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hf_transfer_kit.run"])
    # Ctrl-C reaches every process of a terminal. Here it is for the study alone, which then ends the run: the server
    # and its runs inherit the blocked signal. The tracker goes first: its start unblocks the signal (Python 3.11 on).
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def _no_main() -> Iterator[None]:
    """Keeps new processes from importing the script that was started: it would begin the study anew in each."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _end(process: Any) -> None:
    process.terminate()
    process.join(10)
    if process.is_alive():
        process.kill()


def _why(exit_code: int, last_error: str, folder: Path) -> str:
    """What an exit code means, in a sentence; "" for success."""
    if exit_code == 0:
        return ""
    if exit_code == DISK_FULL or shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
        raise ResourceError(_disk_full(folder))
    if exit_code == KIT_ERROR and last_error:
        return last_error
    if exit_code < 0:
        return (
            f"killed by signal {-exit_code}, most likely for lack of memory; use a smaller --batch-size, more "
            "--accumulation, or a smaller model."
        )
    return f"stopped with an error: {_last_line(folder / 'log.txt')}"


def _disk_full(folder: Path) -> str:
    return f"the disk of '{folder}' is full; make room, then the same command continues where it stopped."


def _last_line(path: Path) -> str:
    """The last line of a log that says something."""
    if not path.exists():
        return "it left no log"
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = deque((line.strip() for line in file if line.strip()), maxlen=1)
    return lines[0][:300] if lines else "it left an empty log"
