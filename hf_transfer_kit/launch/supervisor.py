"""The small process beside every job: starts the command, waits for it, leaves its exit code in the folder.

    python -m hf_transfer_kit.launch.supervisor FOLDER

It lives in a session of its own, so that neither Ctrl-C in a terminal nor the end of a server reaches it. When the
command has ended it ends what that left behind (workers of a launcher that was killed), writes the exit code, and
lets the next job in the queue begin.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hf_transfer_kit.launch.job import EXIT_CODE_FILE, LOG_FILE, MARK, Job
from hf_transfer_kit.launch.marked import end_marked

NOT_FOUND = 127  # exit code of a command that cannot be started, as shells have it
LEFTOVER_SECONDS = 3.0  # for what outlives the command itself
_ROOM = "{:<8}"  # the exit code is written over blanks, which takes no new room on a full disk


def supervise(folder: Path) -> int:
    """Carries out the job in `folder`; returns the exit code of its command, negative for a signal."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # a stop is for the command; this waits for its end
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which the command would inherit
    job = Job.load(folder)
    waiting = folder / f".{EXIT_CODE_FILE}"
    _write(waiting, _ROOM.format(""))
    code = _carry_out(job, folder)
    _end_leftovers(job)
    _write(waiting, _ROOM.format(code))
    waiting.replace(folder / EXIT_CODE_FILE)
    return code


def _carry_out(job: Job, folder: Path) -> int:
    environment = os.environ | job.child_environment() | {MARK: job.mark, "PYTHONUNBUFFERED": "1"}
    with open(folder / LOG_FILE, "ab") as log:
        try:
            child = subprocess.Popen(
                job.command, cwd=job.directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        except OSError as error:
            log.write(f"cannot start {job.command[0]}: {error}\n".encode(errors="replace"))
            return NOT_FOUND
    return child.wait()


def _end_leftovers(job: Job) -> None:
    deadline = time.monotonic() + LEFTOVER_SECONDS
    end_marked(job.mark, lambda: deadline - time.monotonic())


def _write(path: Path, text: str) -> None:
    """Writes in place, and waits until it is on the disk."""
    with open(path, "r+" if path.exists() else "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m hf_transfer_kit.launch.supervisor FOLDER`; returns 0."""
    [folder] = map(Path, sys.argv[1:] if arguments is None else arguments)
    supervise(folder)
    from hf_transfer_kit.launch.queue import advance

    advance(folder.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
