"""The processes of a job, wherever they are: found by the mark in their environment, and ended by it.

Process groups are not enough: torchrun starts its workers in sessions of their own, so that they outlive a killed
launcher. Every process inherits the environment, however deep, and the kernel keeps what it was started with.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil

from hf_transfer_kit.launch.job import MARK

POLL_SECONDS = 0.05
SETTLE_SECONDS = 5.0  # for a killed process to vanish; one that hangs in the kernel cannot be waited for


def carries_mark(pid: int | None, mark: str) -> bool:
    """Whether process `pid` lives and was started with `mark`.

    A number alone, which the system gives away again, would not do; nor would a start time, which moves with the
    clock: the mark is a random id that no other process has.
    """
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        return process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def marked_processes(mark: str) -> list[psutil.Process]:
    """Living processes started with `mark`, and their children that have no mark of another job, but not this one."""
    return marks_in_use().get(mark, [])


def marks_in_use() -> dict[str, list[psutil.Process]]:
    """The processes of every job on this machine, by mark, in one look (some 20 ms)."""
    own: dict[int, str] = {}
    seen = list(_visible())
    for process, mark in seen:
        if mark is not None:
            own[process.pid] = mark
    parents = {process.pid: _parent(process) for process, _ in seen}
    found: dict[str, list[psutil.Process]] = {}
    for process, _ in seen:
        mark = _inherited(process.pid, own, parents)
        if mark is not None and process.pid != os.getpid():
            found.setdefault(mark, []).append(process)
    return found


def end_marked(
    mark: str, grace: Callable[[], float], *, spare: Callable[[psutil.Process], bool] = lambda process: False
) -> None:
    """Ends every process with `mark`: TERM, `grace` to save its work, KILL, again until none is left.

    Args:
        grace: seconds left of the grace time; asked again and again, so that a second stop can cut it short.
        spare: processes that are left out until only they are there.
    """

    def there() -> list[psutil.Process]:
        return [process for process in marked_processes(mark) if not spare(process)]

    left, asked = there(), set[psutil.Process]()
    while left and grace() > 0:
        for process in set(left) - asked:  # also those that were started since
            _quietly(process.terminate)
        asked.update(left)
        time.sleep(POLL_SECONDS)
        left = there()
    deadline = time.monotonic() + SETTLE_SECONDS
    while left and time.monotonic() < deadline:
        for process in left:
            _quietly(process.kill)
        psutil.wait_procs(left, timeout=POLL_SECONDS)
        left = there()


def start_detached(module: str, *arguments: str, mark: str | None = None) -> int:
    """Starts `python -P -m module arguments` in a session of its own, which outlives this process; returns its pid."""
    environment = {name: value for name, value in os.environ.items() if name != MARK}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments], start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment | ({MARK: mark} if mark else {}),
    )  # fmt: skip
    threading.Thread(target=process.wait, daemon=True).start()  # a server that lives on leaves no zombie
    return process.pid


def _visible() -> Iterator[tuple[psutil.Process, str | None]]:
    """Living processes with the mark of each that has one."""
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process, process.environ().get(MARK)
        except psutil.AccessDenied:
            yield process, None  # somebody else's
        except (psutil.Error, OSError):
            continue


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def _inherited(pid: int | None, own: dict[int, str], parents: dict[int, int | None]) -> str | None:
    """The mark of a process, or that of its nearest ancestor: some programs overwrite their own environment."""
    for _ in range(len(parents) + 1):
        if pid is None or pid in own:
            return own.get(pid) if pid is not None else None
        pid = parents.get(pid)
    return None


def _quietly(action: Callable[[], None]) -> None:
    """Does it to a process that may be gone by now."""
    with contextlib.suppress(psutil.Error):
        action()
