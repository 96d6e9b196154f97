"""A plan as a job on the machines of Hugging Face: submitted as a script, followed through its log.

    transfer-kit run plan.yaml --on hf-jobs --flavor t4-small --timeout 2h --repo ORG/NAME

The job prints its events between its other lines, so that the folder here holds events.jsonl and log.txt as if the run
were on this machine. The disk of the job is lost when it ends; the run's folder is in the repository `--repo` then.
"""

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_transfer_kit.advisor.exports.scripts import job_script
from hf_transfer_kit.errors import OutputError, PlanError
from hf_transfer_kit.events import FORMAT as EVENTS_FORMAT
from hf_transfer_kit.events import VERSION as EVENTS_VERSION
from hf_transfer_kit.events import parse_event
from hf_transfer_kit.hub_account import check_repo, hub, said_by_the_hub, token_of
from hf_transfer_kit.launch.job import EVENTS_FILE, LOG_FILE, PLAN_FILE
from hf_transfer_kit.launch.logs import masked
from hf_transfer_kit.plan import TransferPlan
from hf_transfer_kit.values import check_format, from_mapping, read_json, to_mapping, write_json, write_text_atomically

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SCRIPT_FILE, HUB_JOB_FILE = "job.py", "hub_job.json"
FORMAT, VERSION = "hf_transfer_kit.hub_job", 1
WAY_OUT = "check the flavor, and the credits of the account"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubJob:
    """A job on the Hub: its id, in whose name it runs, its page, and where its result goes."""

    id: str
    namespace: str
    url: str
    repo: str

    @classmethod
    def load(cls, folder: Path) -> "HubJob":
        """The job that was submitted from `folder`; raises FormatError where there is none."""
        path = folder / HUB_JOB_FILE
        mapping = check_format(read_json(path), name=FORMAT, version=VERSION, where=str(path))
        return from_mapping(cls, mapping, str(path))


def submit(
    plan: TransferPlan, folder: Path, *, flavor: str, timeout: str, repo: str, requirement: str | None = None,
    api: "HfApi | None" = None,
) -> HubJob:  # fmt: skip
    """Starts `plan` as a job, and notes it in `folder`.

    Args:
        flavor: of the machine, "t4-small".
        timeout: after which the Hub ends it, "2h"; without one that would be 30 minutes.
        repo: "ORG/NAME" on the Hub, made where it is not there, private; the result goes there.
        requirement: how to install the kit there; None: this version of it.
        api: of the Hub; None: the usual one.

    Raises:
        PlanError: the plan needs files of this machine, or `repo` is no name.
        OutputError: `folder` belongs to a job already, or cannot be written.
        RemoteError: no token, or the Hub refuses the job.
    """
    _check(plan, repo)
    if (folder / HUB_JOB_FILE).exists():
        raise OutputError(f"folder '{folder}' holds a job already, {HubJob.load(folder).url}; choose another --out.")
    api = api or _hub()
    token = token_of(api, "a job on the Hub")
    folder.mkdir(parents=True, exist_ok=True)
    plan.save(folder / PLAN_FILE)
    write_text_atomically(folder / SCRIPT_FILE, job_script(plan, requirement))
    with said_by_the_hub(WAY_OUT), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the call is experimental, which no user can mend
        info = api.run_uv_job(
            str(folder / SCRIPT_FILE), script_args=["--repo", repo, "--events"], flavor=flavor, timeout=timeout,
            secrets={"HF_TOKEN": token},
        )  # fmt: skip
    job = HubJob(id=info.id, namespace=info.owner.name, url=info.url, repo=repo)
    write_json(folder / HUB_JOB_FILE, {"format": FORMAT, "version": VERSION} | to_mapping(job))
    return job


def follow(job: HubJob, folder: Path, api: "HfApi | None" = None) -> str:
    """Writes what a job says to events.jsonl and log.txt in `folder`, until it ends; returns how it ended.

    The Hub tells all from the beginning, so both files are written anew.

    Returns:
        "COMPLETED", "ERROR", "CANCELED" or "DELETED", as the Hub has it.

    Raises:
        RemoteError: the Hub cannot be reached, or there is no such job.
    """
    api = api or _hub()
    with (
        open(folder / EVENTS_FILE, "w", encoding="utf-8", buffering=1) as events,
        open(folder / LOG_FILE, "w", encoding="utf-8", buffering=1) as log,
        said_by_the_hub(WAY_OUT),
    ):
        for line in api.fetch_job_logs(job_id=job.id, namespace=job.namespace, follow=True):
            if parse_event(line) is None:
                log.write(masked(line.rstrip("\n")) + "\n")
            else:
                events.write(
                    json.dumps({"format": EVENTS_FORMAT, "version": EVENTS_VERSION} | json.loads(line)) + "\n"
                )
        return str(api.inspect_job(job_id=job.id, namespace=job.namespace).status.stage)


def cancel(job: HubJob, api: "HfApi | None" = None) -> None:
    """Ends a job on the Hub, at once; raises RemoteError where the Hub refuses."""
    with said_by_the_hub(WAY_OUT):
        (api or _hub()).cancel_job(job_id=job.id, namespace=job.namespace)


def _check(plan: TransferPlan, repo: str) -> None:
    """Raises PlanError for what a job would not find in its place."""
    places = {"data": plan.data.path, "model": plan.model.name if plan.model else ""}
    places["old data"] = plan.old_data.path if plan.old_data else ""
    for what, place in places.items():
        if place and os.path.exists(os.path.expanduser(place)):
            raise PlanError(
                f"{what} '{place}' lies on this machine, where a job does not see it; push it to the Hub, or "
                "start the job with the command of `transfer-kit advise --out`, which copies it."
            )
    check_repo(repo, "where the result goes")


def _hub() -> "HfApi":
    return hub()
