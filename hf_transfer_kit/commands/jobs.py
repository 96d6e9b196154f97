"""`transfer-kit jobs`: what runs in the background, and what became of it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_transfer_kit.errors import OutputError
from hf_transfer_kit.options import Debug

if TYPE_CHECKING:
    from collections.abc import Callable

    from hf_transfer_kit.launch.state import JobStatus
    from hf_transfer_kit.launch.store import JobStore

POLL_SECONDS = 0.5
SHOWN_ID = 8  # letters of an id that tell the jobs of one machine apart

jobs = typer.Typer(
    help="Look after runs in the background.\n\n`transfer-kit run PLAN --on job` starts one.",
    no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip

Folder = Annotated[
    Path, typer.Option("--folder", envvar="TRANSFER_KIT_JOBS", help="Where the jobs are; or TRANSFER_KIT_JOBS.")
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Its id, or the first letters of it.")]
FOLDER = Path("transfer-kit-jobs")


@jobs.command("list")
def list_jobs(folder: Folder = FOLDER, debug: Debug = False) -> None:
    """List all jobs, the oldest first; those begin whose turn it is."""
    from rich.console import Console
    from rich.table import Table

    table = Table("job", "state", "title", "", box=None, pad_edge=False)
    for status in _store(folder).jobs():
        table.add_row(status.job.id[:SHOWN_ID], status.state, status.job.title, status.sentence)
    Console().print(table if table.row_count else f"no jobs in '{folder}'.")


@jobs.command()
def show(
    job: JobId,
    folder: Folder = FOLDER,
    log: Annotated[bool, typer.Option(help="With the end of its log.")] = True,
    debug: Debug = False,
) -> None:
    """Show one job: its state, its command, the end of its log."""
    from hf_transfer_kit.launch.job import LOG_FILE
    from hf_transfer_kit.launch.logs import masked, tail

    status = _found(_store(folder), job)
    typer.echo(f"{status.job.id}  {status.state}  {status.job.title}")
    for line in (status.sentence, f"folder: {status.folder}", f"command: {masked(status.job.shown_command)}"):
        if line:
            typer.echo(line)
    if log and (text := tail(status.folder / LOG_FILE, start=status.job.log_start).strip()):
        typer.echo(f"\n{text}")


@jobs.command()
def follow(
    job: JobId,
    folder: Folder = FOLDER,
    log: Annotated[bool, typer.Option("--log", help="Its log, in place of its progress.")] = False,
    debug: Debug = False,
) -> None:
    """Follow a job until it ends; Ctrl-C ends only the following. Exit code 1 where it did not finish."""
    store = _store(folder)
    status = _found(store, job)
    try:
        status = _follow_log(store, status) if log else _follow_progress(store, status)
    except KeyboardInterrupt:
        typer.echo(f"the job goes on; `transfer-kit jobs stop {status.job.id[:SHOWN_ID]}` stops it.", err=True)
        return
    typer.echo(f"{status.state}: {status.sentence}" if status.sentence else status.state)
    raise typer.Exit(0 if status.state == "finished" else 1)


@jobs.command()
def stop(
    job: JobId,
    folder: Folder = FOLDER,
    grace: Annotated[float, typer.Option(min=0, help="Seconds for a checkpoint.")] = 30.0,
    wait: Annotated[bool, typer.Option(help="Wait until nothing of it is left.")] = True,
    debug: Debug = False,
) -> None:
    """Stop a job: politely, with time for a checkpoint, then by force. A second time: now.

    Ctrl-C ends only the waiting.
    """
    store = _store(folder)
    status = store.stop(_found(store, job).job.id, grace=grace)
    shown = None
    while wait and status.state in ("running", "stopping"):
        if status.state == "stopping" and (left := int(status.grace_left) // 5 * 5) != shown:
            shown = left
            typer.echo(status.sentence)
        time.sleep(POLL_SECONDS / 5)
        status = store.get(status.job.id)
    typer.echo(f"{status.state}: {status.sentence}" if status.sentence else status.state)


@jobs.command()
def resume(job: JobId, folder: Folder = FOLDER, debug: Debug = False) -> None:
    """Let a stopped, failed or lost job go on from its last checkpoint."""
    store = _store(folder)
    status = store.resume(_found(store, job).job.id)
    typer.echo(f"{status.job.id[:SHOWN_ID]}  {status.state}  attempt {status.job.attempt}")


@jobs.command()
def clean(
    days: Annotated[float, typer.Option(min=0, help="Since they ended.")],
    folder: Folder = FOLDER,
    debug: Debug = False,
) -> None:
    """Remove jobs that ended long ago.

    With their folders, and the models in them.
    """
    removed = _store(folder).clean(days)
    typer.echo(f"removed {len(removed)} jobs" + "".join(f"\n{job_id}" for job_id in removed))


def _store(folder: Path) -> "JobStore":
    from hf_transfer_kit.launch.store import JobStore

    return JobStore(folder)


def _found(store: "JobStore", job: str) -> "JobStatus":
    """The job whose id is, or begins with, `job`; raises OutputError where none does, or several do."""
    from hf_transfer_kit.launch.job import is_id
    from hf_transfer_kit.launch.queue import read_jobs

    if is_id(job):
        return store.get(job)
    matching = [each.id for each in read_jobs(store.root) if job and each.id.startswith(job)]
    if len(matching) > 1:
        raise OutputError(f"{len(matching)} jobs begin with '{job}'; give more letters.")
    return store.get(matching[0] if matching else job)


def _follow_progress(store: "JobStore", status: "JobStatus") -> "JobStatus":
    from rich.console import Console

    from hf_transfer_kit.launch.job import EVENTS_FILE
    from hf_transfer_kit.progress import RunProgress

    with RunProgress(status.folder / EVENTS_FILE, Console(), start=status.job.events_start):
        return _until_ended(store, status, lambda last: None)


def _follow_log(store: "JobStore", status: "JobStatus") -> "JobStatus":
    from hf_transfer_kit.launch.job import LOG_FILE
    from hf_transfer_kit.launch.logs import LogFollower

    follower = LogFollower(status.folder / LOG_FILE, status.job.log_start)

    def print_new(last: bool) -> None:
        for line in follower.new(last=last):
            typer.echo(line)

    return _until_ended(store, status, print_new)


def _until_ended(store: "JobStore", status: "JobStatus", each: "Callable[[bool], None]") -> "JobStatus":
    from hf_transfer_kit.launch.state import ALIVE

    while status.state in ALIVE:
        each(False)
        time.sleep(POLL_SECONDS)
        status = store.get(status.job.id)
    each(True)
    return status
