"""A stop button that leaves no worker: after a stop, no process of the job may live.

The job is torchrun with two stand-ins for workers, once polite, once stuck (stop_worker.py). `measured` has how many
processes live before the stop and `SECONDS` after it, the launcher included. Tolerance: none is left in either case.
What is left is killed at the end, by its id.
"""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.behaviours.outcome import Outcome, command

ROW = "a stop button that leaves no worker"
WORKER = Path(__file__).with_name("stop_worker.py")
GRACE, SECONDS, START = 3.0, 20.0, 60.0

Start = Callable[[list[str]], Callable[[], None]]  # starts a command; returns what stops it


def living(mark: str) -> list[psutil.Process]:
    """Processes that were started with `mark` on their command line, zombies left out."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if mark in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def workers(mark: str) -> list[psutil.Process]:
    """Those of them that run the stand-in itself, past the import of the launcher."""
    return [process for process in living(mark) if str(WORKER) in process.cmdline()[:4]]


@contextmanager
def cleaned_up(mark: str) -> Iterator[None]:
    """Kills what is left, by its id."""
    try:
        yield
    finally:
        for process in living(mark):
            with contextlib.suppress(psutil.Error):
                process.kill()


def left_over(start: Start, kind: str) -> dict[str, int | float]:
    """How many processes live before and after the stop, and how long that took."""
    mark = uuid.uuid4().hex
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    with cleaned_up(mark):
        stop = start([*launcher, str(WORKER), mark, kind])
        deadline = time.monotonic() + START
        while len(workers(mark)) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(1.0)  # for their signal handlers
        before, pressed = len(living(mark)), time.monotonic()
        stop()
        while living(mark) and time.monotonic() < pressed + SECONDS:
            time.sleep(0.2)
        return {"before": before, "left": len(living(mark)), "seconds": round(time.monotonic() - pressed, 1)}


def measure(start: Start) -> Outcome:
    """Both kinds of workers."""
    found = {kind: left_over(start, kind) for kind in ("polite", "stuck")}
    started = all(each["before"] >= 3 for each in found.values())
    return Outcome(
        holds=started and not any(each["left"] for each in found.values()),
        measured=found,
        says="; ".join(
            f"{kind} workers: of {each['before']} processes {each['left']} live {each['seconds']:.0f} s after the stop"
            for kind, each in found.items()
        ),
    )


def ours() -> Outcome:
    """A job of the kit; its stop gives a grace time of 3 s."""
    from hf_transfer_kit.launch.store import JobStore

    with tempfile.TemporaryDirectory() as folder:
        store = JobStore(Path(folder))

        def start(arguments: list[str]) -> Callable[[], None]:
            job = store.submit(lambda folder: arguments).job.id

            def stop() -> None:
                store.stop(job, grace=GRACE)

            return stop

        return measure(start)


def llamafactory() -> Outcome:
    """What the stop button of its web page calls, on a child that is started as there."""
    from llamafactory.webui.common import abort_process

    def start(arguments: list[str]) -> Callable[[], None]:
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return lambda: abort_process(process.pid)

    return measure(start)


def torchrun() -> Outcome:
    """The usual way to stop a child: terminate, a grace time, kill."""

    def start(arguments: list[str]) -> Callable[[], None]:
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def stop() -> None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        return stop

    return measure(start)


SIDES = {"ours": ours, "llamafactory": llamafactory, "torch": torchrun}

if __name__ == "__main__":
    command(ROW, SIDES)
