"""The folder in which all jobs are: submit, look, stop, resume, clean.

    store = JobStore(Path("transfer-kit-jobs"))
    status = store.submit_plan(plan, Processes(count=2))
    store.stop(status.job.id)

It remembers nothing: two servers and a terminal may use the same folder, and each may be killed at any moment.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hf_transfer_kit.errors import OutputError, PlanError, TransferKitError
from hf_transfer_kit.launch.gpus import gpu_memory_used
from hf_transfer_kit.launch.job import (
    EVENTS_FILE,
    EXIT_CODE_FILE,
    JOB_FILE,
    LOG_FILE,
    PLAN_FILE,
    STOP_FILE,
    Job,
    exit_code,
    job_folder,
    new_id,
)  # fmt: skip
from hf_transfer_kit.launch.marked import carries_mark, marks_in_use
from hf_transfer_kit.launch.processes import Processes
from hf_transfer_kit.launch.queue import Limits, advance, locked, read_jobs, save_limits
from hf_transfer_kit.launch.state import CAN_RESUME, ENDED, JobStatus, state_of, status_of
from hf_transfer_kit.launch.stopping import GRACE_SECONDS, ask_to_stop
from hf_transfer_kit.plan import TransferPlan

DAY = 86400.0


class JobStore:
    """The jobs in the folder `root`.

    Args:
        root: made when the first job is submitted.
        limits: kept in the folder, for everybody who uses it; None: those that are there.

    In every method `owner` is who asks: the jobs of others are not there for them. None: whoever may read the folder.
    """

    def __init__(self, root: Path, limits: Limits | None = None):
        self.root = root.absolute()
        if limits is not None:
            save_limits(self.root, limits)

    def submit_plan(
        self, plan: TransferPlan, processes: Processes | None = None, *, owner: str = "", title: str = "",
        directory: Path | None = None,
    ) -> JobStatus:  # fmt: skip
        """Starts a plan, or lets it wait for its turn.

        Args:
            directory: where relative paths of the plan begin; None: the current one.

        Raises:
            PlanError: the batch cannot be shared by so many processes, or there are not so many GPUs.
            OutputError, ResourceError: the folder cannot be written.
        """
        processes = processes or Processes()
        from hf_transfer_kit.advisor.exports.plan_export import launch_command

        launch_command(plan, processes=processes.total, gpu=processes.gpu)  # raises where the batch cannot be shared
        return self.submit(
            processes.command, plan=plan, owner=owner, title=title or plan.method, directory=directory,
            environment=processes.environment, gpus=processes.count if processes.gpu else 0,
        )  # fmt: skip

    def submit(
        self, command: Callable[[Path], Sequence[str]], *, plan: TransferPlan | None = None, owner: str = "",
        title: str = "", directory: Path | None = None, environment: Mapping[str, str] | None = None, gpus: int = 0,
    ) -> JobStatus:  # fmt: skip
        """Starts a command, or lets it wait for its turn.

        Args:
            command: its argument list, given the folder of the job.
            environment: variables set for it; written down, so no place for secrets. Those it inherits.

        Raises:
            PlanError: there are not so many GPUs.
            OutputError, ResourceError: the folder cannot be written.
        """
        here = len(gpu_memory_used()) if gpus else 0
        if gpus > here:
            raise PlanError(f"{gpus} GPUs are asked for, {here} are here; ask for fewer, or for none.")
        folder = self.root / new_id()
        with locked(self.root):
            number = max((job.number for job in read_jobs(self.root)), default=0) + 1
            folder.mkdir()
            try:
                if plan is not None:
                    plan.save(folder / PLAN_FILE)
                Job(
                    id=folder.name, number=number, command=tuple(command(folder)), owner=owner, title=title,
                    directory=str((directory or Path()).absolute()), environment=dict(environment or {}),
                    gpus_wanted=gpus,
                ).save(folder)  # fmt: skip
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        advance(self.root)
        return self.get(folder.name)

    def jobs(self, owner: str | None = None) -> list[JobStatus]:
        """All jobs, in order of submission; lets those begin whose turn it is."""
        if self.root.is_dir():
            try:
                advance(self.root)
            except TransferKitError:
                pass  # nothing can begin on a full disk or in a folder of others; what is there can still be seen
        mine = [job for job in read_jobs(self.root) if owner in (None, job.owner)]
        settled = all(exit_code(self.root / job.id) is not None or carries_mark(job.pid, job.mark) for job in mine)
        marks = {} if settled else marks_in_use()  # one look at all processes, and only where it tells something
        return [status_of(job, self.root / job.id, marks) for job in mine]

    def get(self, job_id: str, owner: str | None = None) -> JobStatus:
        """One job.

        Raises:
            OutputError: there is no such job, or it is another owner's.
            FormatError: its file is broken.
        """
        folder = job_folder(self.root, job_id)
        return status_of(self._owned(folder, owner), folder)

    def stop(self, job_id: str, owner: str | None = None, *, grace: float = GRACE_SECONDS) -> JobStatus:
        """Asks a job to stop, and returns at once: TERM, `grace` seconds for a checkpoint, KILL. A second time: now.

        A job that has ended stays as it is. Raises as `get`.
        """
        folder = job_folder(self.root, job_id)
        job = self._owned(folder, owner)
        with locked(self.root):  # it must not begin while it is stopped
            if state_of(job, folder) not in ENDED:
                ask_to_stop(folder, grace)
        return self.get(job_id, owner)

    def resume(self, job_id: str, owner: str | None = None) -> JobStatus:
        """Lets a stopped, failed or lost job go on from its last checkpoint, in its folder, when its turn comes.

        Raises:
            OutputError: there is no such job, or it is running, waiting or finished.
            ResourceError: the disk is full.
        """
        folder = job_folder(self.root, job_id)
        with locked(self.root):
            job = self._owned(folder, owner)
            state = state_of(job, folder)
            if state not in CAN_RESUME:
                raise OutputError(f"job {job_id} is {state}; only {', '.join(CAN_RESUME)} jobs can be resumed.")
            number = max(other.number for other in read_jobs(self.root)) + 1
            replace(
                job, number=number, attempt=job.attempt + 1, pid=None, gpus=(),
                log_start=_size(folder / LOG_FILE), events_start=_size(folder / EVENTS_FILE),
            ).save(folder)  # fmt: skip
            for name in (STOP_FILE, EXIT_CODE_FILE):  # the exit code last: without it the job is in the queue
                (folder / name).unlink(missing_ok=True)
        advance(self.root)
        return self.get(job_id, owner)

    def clean(self, days: float, owner: str | None = None) -> list[str]:
        """Removes the folders of jobs that ended at least `days` ago, with their models; returns their ids."""
        removed = []
        with locked(self.root):
            marks = marks_in_use()
            for job in read_jobs(self.root):
                folder = self.root / job.id
                ended = state_of(job, folder, marks) in ENDED
                if ended and owner in (None, job.owner) and time.time() - _last_touched(folder) >= days * DAY:
                    (folder / JOB_FILE).unlink()  # no longer a job, even if the rest cannot be removed
                    shutil.rmtree(folder, ignore_errors=True)
                    removed.append(job.id)
        return removed

    def _owned(self, folder: Path, owner: str | None) -> Job:
        job = Job.load(folder)
        if owner not in (None, job.owner):
            raise OutputError(f"there is no job '{folder.name}'; `transfer-kit jobs list` shows those there are.")
        return job


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _last_touched(folder: Path) -> float:
    """When one of a job's own files was last written; a clock set back makes it younger, never older."""
    return max(os.stat(entry).st_mtime for entry in folder.iterdir() if entry.is_file())
