"""From a plan in the page to a job: where it runs, what is allowed here, and the exact command."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hf_transfer_kit.advisor.exports.plan_export import launch_command
from hf_transfer_kit.app.data.chosen import BUNDLED
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.demo import demo_data
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.launch.hf_jobs import HUB_JOB_FILE, HubJob, cancel
from hf_transfer_kit.launch.job import PLAN_FILE, Job
from hf_transfer_kit.launch.processes import Processes
from hf_transfer_kit.launch.state import JobStatus
from hf_transfer_kit.plan import DataSpec, TransferPlan
from hf_transfer_kit.plan.specs import short_model_name

CPU, GPU, HUB = "This machine, CPU", "This machine, GPU", "Hugging Face Jobs"
FOLDER = "run"  # stands in a shown command for the folder of the job
MOST_PROCESSES = 64
MOST_STEPS = 2000  # of a training where launching is off


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a plan is carried out.

    Fields:
        where: CPU, GPU or HUB.
        processes: on this machine; one for each GPU.
        flavor, timeout, repo: of a job on the Hub: kind of machine, when it is ended, where the result goes.
    """

    where: str = CPU
    processes: int = 1
    flavor: str = "t4-small"
    timeout: str = "2h"
    repo: str = ""

    @property
    def on_the_hub(self) -> bool:
        """Whether it runs on HF Jobs."""
        return self.where == HUB

    @property
    def here(self) -> Processes:
        """Its processes on this machine; raises PlanError where the number makes no sense."""
        if not 1 <= self.processes <= MOST_PROCESSES:
            raise PlanError(f"processes={self.processes} must lie between 1 and {MOST_PROCESSES}; use 1.")
        return Processes(count=self.processes, gpu=self.where == GPU)

    def command(self, folder: Path) -> list[str]:
        """The argument list that carries out plan.yaml in `folder` there."""
        if not self.on_the_hub:
            return self.here.command(folder)
        return [
            sys.executable, "-m", "hf_transfer_kit.cli", "run", str(folder / PLAN_FILE), "--on", "hf-jobs",
            "--flavor", self.flavor, "--timeout", self.timeout, "--repo", self.repo, "--out", str(folder),
        ]  # fmt: skip


def place_of(values: Sequence[Any]) -> Place:
    """Where it runs, from the fields; an empty one is as it was at first."""
    where, processes, flavor, timeout, repo = values
    return Place(
        where=str(where), processes=int(processes or 0), flavor=str(flavor or "").strip() or Place().flavor,
        timeout=str(timeout or "").strip() or Place().timeout, repo=str(repo or "").strip(),
    )  # fmt: skip


def command_for(place: Place) -> str:
    """The command that will run, for people: the same argument list, with short names for Python and the folder.

    Raises:
        PlanError: the number of processes makes no sense.

    Example:
        >>> command_for(Place())
        'ACCELERATE_USE_CPU=true CUDA_VISIBLE_DEVICES= python -m hf_transfer_kit.run run/plan.yaml --out run'
    """
    with TemporaryDirectory() as temporary:  # a configuration file may be written beside the plan
        command = place.command(Path(temporary))
    variables = {} if place.on_the_hub else place.here.environment
    return _line(command, variables, temporary)


def shown_command(status: JobStatus, settings: Settings) -> str:
    """The command of a job; where strangers look on, without the places of this machine."""
    job: Job = status.job
    if not settings.shared:
        return job.shown_command
    return _line(job.command, job.child_environment(), str(status.folder))


def check(plan: TransferPlan, place: Place, settings: Settings) -> None:
    """Whether `plan` can and may be carried out there.

    Raises:
        PlanError: not here, or the batch cannot be shared by so many processes.
    """
    if place.on_the_hub:
        _check_hub(place, settings)
    else:
        launch_command(plan, processes=place.here.total, gpu=place.here.gpu)
    if settings.launching:
        return
    for spec in (plan.data, plan.old_data):
        if spec is not None:
            settings.check_may_start(
                _as_demo(spec), plan.model, processes=place.processes, epochs=plan.training.epochs,
                gpu=place.where != CPU,
            )  # fmt: skip
    if plan.training.min_steps > MOST_STEPS or plan.training.report_to:
        raise PlanError(
            f"this public Space takes at most {MOST_STEPS} steps and no trackers: lower training.min_steps, and leave "
            "out training.report_to."
        )


def start(plan: TransferPlan, place: Place, data_name: str, settings: Settings, owner: str) -> JobStatus:
    """Submits `plan` as a job.

    Args:
        data_name: of its data, for people.

    Raises:
        PlanError: as `check`, or there are not so many GPUs.
        OutputError, ResourceError: the folder cannot be written.
    """
    check(plan, place, settings)
    settings.runs.mkdir(parents=True, exist_ok=True)
    title = title_of(plan, data_name)
    if place.on_the_hub:
        return settings.jobs.submit(place.command, plan=plan, owner=owner, title=title, directory=settings.runs)
    return settings.jobs.submit_plan(plan, place.here, owner=owner, title=title, directory=settings.runs)


def stop(job_id: str, settings: Settings, owner: str) -> JobStatus:
    """Asks a job to stop, here or on the Hub; a second time: now.

    Raises:
        OutputError: there is no such job.
        RemoteError: the Hub refuses.
    """
    status = settings.jobs.get(job_id, owner)
    if (status.folder / HUB_JOB_FILE).exists():
        cancel(HubJob.load(status.folder))  # it would go on there, and cost
    return settings.jobs.stop(job_id, owner)


def title_of(plan: TransferPlan, data_name: str) -> str:
    """What a run is called: method, model, data.

    Example:
        >>> from hf_transfer_kit.plan import Majority
        >>> title_of(TransferPlan(data=DataSpec(path="/x/a.csv"), approach=Majority()), "a.csv")
        'majority · a.csv'
    """
    model = [] if plan.model is None else [short_model_name(plan.model.name)]
    return " · ".join([plan.method, *model, data_name])


def is_run(status: JobStatus) -> bool:
    """Whether a job carries out a plan; the app has others."""
    return (status.folder / PLAN_FILE).exists()


def _line(command: Sequence[str], variables: dict[str, str], folder: str) -> str:
    names = [f"{name}={shlex.quote(value) if value else ''}" for name, value in variables.items()]
    short = ["python" if part == sys.executable else part.replace(folder, FOLDER) for part in command]
    return " ".join([*names, shlex.join(short)])


def _as_demo(spec: DataSpec) -> DataSpec:
    """Data inside the package counts as the demo data, whichever of it it is."""
    inside = {str(place()) for place in BUNDLED.values()}
    return replace(spec, path=str(demo_data())) if spec.path in inside else spec


def _check_hub(place: Place, settings: Settings) -> None:
    if not settings.launching:
        raise PlanError("this public Space starts nothing on Hugging Face Jobs; duplicate it, or use the command.")
    if not place.repo.strip():
        raise PlanError("a job on the Hub needs a repository ORG/NAME for its result; its own disk is lost.")
