"""A job is a folder; what is written in it, and what may be its name.

    job.json        what was asked for, and the process that watches over it
    plan.yaml       of the run
    log.txt         what the child writes, itself: no page or server stands between
    events.jsonl, record.json, model/, checkpoints/     the run's own
    stop.json       somebody asked it to stop
    rc              its exit code, once it has ended

The folder's name is a random id, so a name that comes from a browser never becomes a path before it is checked.
"""

import os
import re
import shlex
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from hf_transfer_kit.errors import OutputError
from hf_transfer_kit.values import check_format, from_mapping, read_json, to_mapping, write_json

JOB_FILE, PLAN_FILE, LOG_FILE, EVENTS_FILE = "job.json", "plan.yaml", "log.txt", "events.jsonl"
STOP_FILE, EXIT_CODE_FILE, RECORD_FILE = "stop.json", "rc", "record.json"
MARK = "HTK_JOB"  # the environment variable that every process of a job inherits: its id and attempt
FORMAT, VERSION = "hf_transfer_kit.job", 1
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What job.json holds.

    Fields:
        id: 32 hexadecimal digits; the name of the folder.
        number: its place in the order of submission, from 1.
        owner: who may see and stop it.
        title: for people.
        command: the argument list; run as it is, without a shell.
        directory: where it runs, since a plan may name data by a relative path.
        environment: variables set for it, beside those of whoever starts it; never a secret.
        gpus_wanted: GPUs it waits for.
        gpus: those it was given.
        attempt: 1, and one more for each time it was resumed.
        pid: of the supervisor of this attempt; None: it waits.
        log_start, events_start: bytes of log.txt and events.jsonl that belong to earlier attempts.
    """

    id: str
    number: int
    command: tuple[str, ...]
    directory: str
    owner: str = ""
    title: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    gpus_wanted: int = 0
    gpus: tuple[int, ...] = ()
    attempt: int = 1
    pid: int | None = None
    log_start: int = 0
    events_start: int = 0

    @property
    def mark(self) -> str:
        """What its processes carry in their environment; those of the next attempt differ, for a late stop."""
        return f"{self.id}.{self.attempt}"

    @property
    def shown_command(self) -> str:
        """The command as a line for a shell: the same list that is run, with the variables set for it."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.child_environment().items()]
        return " ".join([*variables, shlex.join(self.command)])

    def child_environment(self) -> dict[str, str]:
        """The variables set for it; those of the GPUs it was given among them."""
        devices = ",".join(map(str, self.gpus))
        return self.environment | ({"CUDA_VISIBLE_DEVICES": devices} if self.gpus_wanted and self.gpus else {})

    def save(self, folder: Path) -> None:
        """Writes job.json; raises as `write_json`."""
        write_json(folder / JOB_FILE, {"format": FORMAT, "version": VERSION} | to_mapping(self))

    @classmethod
    def load(cls, folder: Path) -> "Job":
        """The job in `folder`.

        Raises:
            FormatError: job.json is missing, broken or of another version.
            PlanError: a setting in it is wrong.
        """
        where = str(folder / JOB_FILE)
        return from_mapping(cls, check_format(read_json(folder / JOB_FILE), name=FORMAT, version=VERSION, where=where),
                            where)  # fmt: skip


def new_id() -> str:
    """A random id, 32 hexadecimal digits."""
    return uuid.uuid4().hex


def is_id(text: str) -> bool:
    """Whether `text` may be the id of a job.

    Example:
        >>> is_id(new_id()), is_id("../../etc"), is_id("0" * 32 + chr(10))
        (True, False, False)
    """
    return _ID.fullmatch(text) is not None


def job_folder(root: Path, job_id: str) -> Path:
    """The folder of a job; no path is made before the id is known to be one.

    Raises:
        OutputError: `job_id` is no id, or there is no such job.
    """
    if not is_id(job_id) or not os.path.isfile(root / job_id / JOB_FILE):
        shown = job_id if len(job_id) <= 40 else job_id[:40] + "..."
        raise OutputError(f"there is no job {shown!r}; `transfer-kit jobs list` shows those there are.")
    return root / job_id


def exit_code(folder: Path) -> int | None:
    """What the supervisor noted; None: nothing yet."""
    try:
        return int((folder / EXIT_CODE_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
