"""`transfer-kit run --on`: the same plan in the background, or on the machines of Hugging Face."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hf_transfer_kit.errors import PlanError, RemoteError, did_you_mean

if TYPE_CHECKING:
    from hf_transfer_kit.plan import TransferPlan

HERE, JOB, HF_JOBS = "here", "job", "hf-jobs"
PLACES = (HERE, JOB, HF_JOBS)


def check_place(on: str) -> None:
    """Raises PlanError where `on` is none of PLACES."""
    if on not in PLACES:
        raise PlanError(f"--on '{on}' is no place to run; {did_you_mean(on, PLACES)}")


def start_job(plan: "TransferPlan", processes: int, gpu: bool) -> None:
    """Submits a plan to the jobs of this machine and says how to go on."""
    import os

    from hf_transfer_kit.commands.jobs import FOLDER, SHOWN_ID
    from hf_transfer_kit.launch.processes import Processes
    from hf_transfer_kit.launch.store import JobStore

    store = JobStore(Path(os.environ.get("TRANSFER_KIT_JOBS", FOLDER)))
    status = store.submit_plan(plan, Processes(count=processes, gpu=gpu))
    short = status.job.id[:SHOWN_ID]
    typer.echo(f"job {short} is {status.state}\ntransfer-kit jobs follow {short}\ntransfer-kit jobs stop {short}")


def run_on_hub(plan: "TransferPlan", out: Path, *, flavor: str, timeout: str, repo: str | None) -> None:
    """Submits a plan to HF Jobs and follows it; raises RemoteError where it did not complete."""
    from rich.console import Console

    from hf_transfer_kit.launch import hf_jobs
    from hf_transfer_kit.launch.job import EVENTS_FILE, LOG_FILE
    from hf_transfer_kit.progress import RunProgress

    if repo is None:
        raise PlanError("--on hf-jobs needs --repo ORG/NAME for the result; the disk of a job is lost when it ends.")
    job = hf_jobs.submit(plan, out, flavor=flavor, timeout=timeout, repo=repo)
    typer.echo(f"{job.url}")
    try:
        with RunProgress(out / EVENTS_FILE, Console(), start=0):
            stage = hf_jobs.follow(job, out)
    except KeyboardInterrupt:
        typer.echo(f"the job goes on; its page is {job.url}", err=True)
        return
    if stage != "COMPLETED":
        raise RemoteError(f"the job ended as {stage}; see {out / LOG_FILE}, or {job.url}.")
    typer.echo(f"https://huggingface.co/{job.repo}")
