"""Whose turn it is: first come, first served, within limits per owner and in all, and no GPU twice.

No process waits at its side: whoever submits, lists or has just ended a job lets the next begin, under a lock.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import filelock

from hf_transfer_kit.errors import OutputError, PlanError, TransferKitError
from hf_transfer_kit.launch.gpus import free_gpus
from hf_transfer_kit.launch.job import JOB_FILE, STOP_FILE, Job, exit_code, is_id
from hf_transfer_kit.launch.marked import marks_in_use, start_detached
from hf_transfer_kit.launch.state import state_of
from hf_transfer_kit.values import from_mapping, read_json, to_mapping, write_json

LOCK_FILE, LIMITS_FILE = ".lock", "limits.json"
LOCK_SECONDS = 60.0
SUPERVISOR = "hf_transfer_kit.launch.supervisor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many jobs may run at once.

    Fields:
        per_owner: of one owner.
        in_all: of everybody.

    Raises:
        PlanError: one of them is less than 1.
    """

    per_owner: int = 1
    in_all: int = 2

    def __post_init__(self) -> None:
        if min(self.per_owner, self.in_all) < 1:
            raise PlanError(f"limits {self.per_owner} per owner and {self.in_all} in all must be >= 1; use 1.")


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Only one process at a time changes what is in the folder of the jobs.

    Raises:
        OutputError: the folder cannot be written, or another process holds it for a minute.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(root / LOCK_FILE, timeout=LOCK_SECONDS)
        lock.acquire()
    except filelock.Timeout as error:
        raise OutputError(f"folder '{root}' is held by another process; try again.") from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"folder '{root}' of the jobs cannot be written ({reason}); choose another.") from error
    try:
        yield
    finally:
        lock.release()


def read_jobs(root: Path) -> list[Job]:
    """Every job in the folder, in order of submission; what cannot be read is left out."""
    jobs = []
    for folder in root.iterdir() if root.is_dir() else ():
        if is_id(folder.name) and (folder / JOB_FILE).is_file():
            try:
                jobs.append(Job.load(folder))
            except TransferKitError:
                continue  # one broken file must not hide the others
    return sorted(jobs, key=lambda job: (job.number, job.id))


def read_limits(root: Path) -> Limits:
    """The limits kept in the folder; the defaults where there are none."""
    path = root / LIMITS_FILE
    return from_mapping(Limits, read_json(path), str(path)) if path.exists() else Limits()


def save_limits(root: Path, limits: Limits) -> None:
    """Keeps the limits in the folder, for everybody who lets jobs begin."""
    write_json(root / LIMITS_FILE, to_mapping(limits))


def advance(root: Path) -> list[str]:
    """Starts the jobs whose turn it is; returns their ids.

    A job that waits for its owner's other job lets later ones of other owners pass; one that waits for GPUs lets
    later ones pass that need none.

    Raises:
        OutputError: the folder cannot be written.
        ResourceError: the disk is full.
    """
    if not any(_may_wait(job, root / job.id) for job in read_jobs(root)):
        return []  # most often; a page asks every second
    with locked(root):
        jobs = {job.id: job for job in read_jobs(root)}
        marks = marks_in_use()
        states = {job.id: state_of(job, root / job.id, marks) for job in jobs.values()}
        return [_start(job, root / job.id).id for job in _whose_turn(jobs, states, read_limits(root))]


def _may_wait(job: Job, folder: Path) -> bool:
    return job.pid is None and exit_code(folder) is None and not (folder / STOP_FILE).exists()


def _whose_turn(jobs: Mapping[str, Job], states: Mapping[str, str], limits: Limits) -> list[Job]:
    running = [job for job in jobs.values() if states[job.id] in ("running", "stopping")]
    chosen: list[Job] = []
    gpus_awaited = False
    for job in jobs.values():
        at_work = [*running, *chosen]
        if len(at_work) >= limits.in_all:
            break
        if states[job.id] != "queued" or sum(other.owner == job.owner for other in at_work) >= limits.per_owner:
            continue
        if job.gpus_wanted:
            free = [] if gpus_awaited else free_gpus(index for other in at_work for index in other.gpus)
            gpus_awaited = gpus_awaited or len(free) < job.gpus_wanted
            if gpus_awaited:
                continue
            job = replace(job, gpus=tuple(free[: job.gpus_wanted]))
        chosen.append(job)
    return chosen


def _start(job: Job, folder: Path) -> Job:
    """Starts a job's supervisor. Whoever dies in the middle leaves a process that its mark still finds."""
    job.save(folder)
    started = replace(job, pid=start_detached(SUPERVISOR, str(folder), mark=job.mark))
    started.save(folder)
    return started
