"""What a plan is carried out with: its YAML, commands, scripts. What is shown is what runs. Imports no torch."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.advisor.scripts import SCRIPTED, job_script, python_script
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import TransferPlan

RUN = "hf_transfer_kit.run"  # the module that carries out a plan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanExport:
    """A plan in every form.

    Fields:
        yaml: of plan.yaml.
        command: that runs plan.yaml.
        launch: the same in as many processes as asked for.
        python: a script around the plain Trainer; "" where the approach has none.
        job: a script for HF Jobs, job.py.
        job_command: that starts it.
        notes: what to know before.
    """

    yaml: str
    command: str
    launch: str
    python: str
    job: str
    job_command: str
    notes: tuple[str, ...]


def export_plan(
    plan: TransferPlan, *, processes: int = 1, gpu: bool = False, flavor: str = "t4-small", timeout: str = "2h",
    repo: str = "ORG/NAME", requirement: str | None = None,
) -> PlanExport:  # fmt: skip
    """`plan` as files and commands; the files are called plan.yaml and job.py.

    Args:
        processes: that share the work, one per GPU.
        gpu: whether they run on GPUs.
        flavor, timeout: of the job, as `hf jobs uv run` takes them; without a timeout a job ends after 30 minutes.
        repo: where the job puts its result.

    Raises:
        PlanError: the batch cannot be shared by so many processes.

    Example:
        >>> from hf_transfer_kit.plan import DataSpec, Full, ModelSpec
        >>> plan = TransferPlan(data=DataSpec(path="a.csv"), model=ModelSpec(name="m"), approach=Full())
        >>> export_plan(plan).command
        'transfer-kit run plan.yaml --out runs/plan'
    """
    mounted, notes = [], []
    argument = []
    if Path(plan.data.path).exists():
        place = Path(plan.data.path).resolve()
        mounted = ["--volume", f"{place.parent if place.is_file() else place}:/data"]
        argument = ["--data", f"/data/{place.name}" if place.is_file() else "/data"]
        notes.append("The data lie on this machine; the job's command copies their folder into a bucket of yours.")
    job = ["hf", "jobs", "uv", "run", "--flavor", flavor, "--timeout", timeout, "--secrets", "HF_TOKEN", *mounted,
           "job.py", "--repo", repo, *argument]  # fmt: skip
    scripted = isinstance(plan.approach, SCRIPTED)
    if not scripted:
        notes.append(f"{plan.approach.name} has no script of its own; the plan runs it.")
    return PlanExport(
        yaml=plan.to_yaml(),
        command="transfer-kit run plan.yaml --out runs/plan",
        launch=launch_command(plan, processes=processes, gpu=gpu),
        python=python_script(plan) if scripted else "",
        job=job_script(plan, requirement),
        job_command=shlex.join(job),
        notes=tuple(notes),
    )


def launch_command(
    plan: TransferPlan, *, processes: int, gpu: bool, file: str = "plan.yaml", out: str = "runs/plan"
) -> str:
    """The line that starts `file` in `processes` processes.

    `accelerate launch --cpu` would start one process only, whatever number it is given (accelerate 1.15).

    Raises:
        PlanError: the batch cannot be shared by so many processes.

    Example:
        >>> from hf_transfer_kit.plan import DataSpec, Full, ModelSpec
        >>> plan = TransferPlan(data=DataSpec(path="a.csv"), model=ModelSpec(name="m"), approach=Full())
        >>> launch_command(plan, processes=2, gpu=True)
        'accelerate launch --multi_gpu --num_processes 2 -m hf_transfer_kit.run plan.yaml --out runs/plan'
    """
    if processes < 1:
        raise PlanError(f"processes={processes} must be >= 1; use 1 for a single GPU.")
    shares = processes * plan.training.accumulation
    if plan.training.batch_size % shares:
        raise PlanError(
            f"training.batch_size={plan.training.batch_size} cannot be shared by {processes} processes x "
            f"{plan.training.accumulation} micro-batches; use a multiple of {shares}."
        )
    several = ["--multi_gpu"] if processes > 1 else []
    command = ["accelerate", "launch", *several, "--num_processes", str(processes), "-m", RUN, file, "--out", out]
    return ("" if gpu else "ACCELERATE_USE_CPU=true ") + shlex.join(command)
