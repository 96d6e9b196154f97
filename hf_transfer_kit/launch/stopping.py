"""Stopping a job: TERM to every process of it, a grace time in which it saves its work, then KILL until none is left.

    python -m hf_transfer_kit.launch.stopping FOLDER MARK

A process of its own does it, so that a job that was asked to stop ends also when the page, the terminal or the server
that asked is gone.
"""

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.launch.job import STOP_FILE, Job, exit_code
from hf_transfer_kit.launch.marked import end_marked, start_detached
from hf_transfer_kit.values import from_mapping, read_json, to_mapping, write_json

GRACE_SECONDS = 30.0  # for a checkpoint
SUPERVISOR_SECONDS = 5.0  # for the supervisor to note the exit code; then it has gone astray


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """What stop.json holds.

    Fields:
        grace: seconds before what is left is killed; 0: at once.
        asked: when, in seconds of the system's monotonic clock, which does not jump with the time of day.
    """

    grace: float
    asked: float

    def seconds_left(self) -> float:
        """Of the grace time; between 0 and `grace`, also after a restart of the machine."""
        return max(0.0, min(self.grace, self.asked + self.grace - time.monotonic()))


def read_request(folder: Path) -> StopRequest | None:
    """What was asked for the job in `folder`; None: nothing, or nothing that can be read."""
    path = folder / STOP_FILE
    if not path.exists():
        return None
    try:
        return from_mapping(StopRequest, read_json(path), str(path))
    except TransferKitError:
        return StopRequest(grace=0.0, asked=0.0)


def ask_to_stop(folder: Path, grace: float) -> None:
    """Notes the request and starts the process that carries it out; a second request means now."""
    now = 0.0 if read_request(folder) is not None else grace
    with contextlib.suppress(TransferKitError):  # a full disk must not keep a job from being stopped
        write_json(folder / STOP_FILE, to_mapping(StopRequest(grace=now, asked=time.monotonic())))
    start_detached("hf_transfer_kit.launch.stopping", str(folder), Job.load(folder).mark)


def carry_out_stop(folder: Path, mark: str) -> None:
    """Ends every process with `mark` as the request in `folder` says; last the supervisor, which notes the end.

    Once the end is noted, everything is spared: the supervisor has ended what was left, and is about to start the
    next job, whose first process is not told from its own until it has a mark of its own.
    """
    supervisor = Job.load(folder).pid

    def grace() -> float:
        request = read_request(folder)
        return request.seconds_left() if request is not None else 0.0

    def ended() -> bool:
        return exit_code(folder) is not None

    end_marked(mark, grace, spare=lambda process: process.pid == supervisor or ended())
    deadline = time.monotonic() + SUPERVISOR_SECONDS
    end_marked(mark, lambda: deadline - time.monotonic(), spare=lambda process: ended())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m hf_transfer_kit.launch.stopping FOLDER MARK`; returns 0."""
    folder, mark = sys.argv[1:] if arguments is None else arguments
    carry_out_stop(Path(folder), mark)
    return 0


if __name__ == "__main__":
    sys.exit(main())
