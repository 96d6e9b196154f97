"""What has become of a job, read from its folder and the system's processes, and from nothing remembered."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.events import Event
from hf_transfer_kit.launch.failures import Failure, explain
from hf_transfer_kit.launch.job import EVENTS_FILE, LOG_FILE, STOP_FILE, Job, exit_code
from hf_transfer_kit.launch.logs import last_events, tail
from hf_transfer_kit.launch.marked import carries_mark, marked_processes
from hf_transfer_kit.launch.stopping import read_request

ALIVE = ("queued", "running", "stopping")
ENDED = ("stopped", "finished", "failed", "lost")
CAN_RESUME = ("stopped", "failed", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job as it is now.

    Fields:
        job: what was asked for.
        folder: where it is.
        state: "queued", "running", "stopping" (asked to stop, in its grace time), "stopped", "finished", "failed", or
            "lost": its processes are gone, and nobody noted how it ended (power cut, kill -9 of all).
        exit_code: of its command, negative for a signal; None while it runs, or where it is not known.
        grace_left: seconds until what is left of a stopping job is killed.
        failure: why it failed or was lost.
        latest: the last event of this attempt.
    """

    job: Job
    folder: Path
    state: str
    exit_code: int | None = None
    grace_left: float = 0.0
    failure: Failure | None = None
    latest: Event | None = None

    @property
    def sentence(self) -> str:
        """The state in a sentence, with the remedy where there is one."""
        if self.failure is not None:
            return self.failure.sentence
        if self.state == "stopping":
            return f"stopping; what is left in {self.grace_left:.0f} s is ended by force. A second stop: now."
        if self.state == "stopped":
            return "stopped; resume continues from the last checkpoint."
        if self.state == "running" and self.latest is not None and self.latest.total:
            return f"{self.latest.stage} {self.latest.done}/{self.latest.total}"
        message = self.latest.message if self.latest is not None else ""
        return message or ("waits for its turn" if self.state == "queued" else "")


def state_of(job: Job, folder: Path, marks: Collection[str] | None = None) -> str:
    """The state of a job; the names are those of JobStatus.

    Args:
        marks: of the processes there are, from one look for many jobs; None: looks itself.
    """
    alive = exit_code(folder) is None and _is_alive(job, marks)
    code = exit_code(folder)  # after the look: it may have ended meanwhile
    stop = (folder / STOP_FILE).exists()
    if code is None and alive:
        return "stopping" if stop else "running"
    if code == 0 or (code is None and _said_finish(job, folder)):
        return "finished"
    if stop:
        return "stopped"
    if code is None:
        return "queued" if job.pid is None else "lost"
    return "failed"


def _is_alive(job: Job, marks: Collection[str] | None) -> bool:
    if carries_mark(job.pid, job.mark):
        return True
    return bool(marked_processes(job.mark)) if marks is None else job.mark in marks


def status_of(job: Job, folder: Path, marks: Collection[str] | None = None) -> JobStatus:
    """All that can be told of a job; reads only the ends of its files, however long they are."""
    state = state_of(job, folder, marks)
    code = exit_code(folder)
    events = last_events(folder / EVENTS_FILE, start=job.events_start)
    request = read_request(folder) if state == "stopping" else None
    return JobStatus(
        job=job, folder=folder, state=state, exit_code=code,
        grace_left=request.seconds_left() if request is not None else 0.0,
        failure=_failure(job, folder, code, events) if state in ("failed", "lost") else None,
        latest=events[-1] if events else None,
    )  # fmt: skip


def _said_finish(job: Job, folder: Path) -> bool:
    events = last_events(folder / EVENTS_FILE, start=job.events_start)
    return bool(events) and events[-1].kind == "finish"


def _failure(job: Job, folder: Path, code: int | None, events: Collection[Event]) -> Failure:
    errors = [event.message for event in events if event.kind == "error"]
    return explain(code, errors[-1] if errors else "", tail(folder / LOG_FILE, start=job.log_start), folder)
