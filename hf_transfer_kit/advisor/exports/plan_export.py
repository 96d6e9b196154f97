"""What a plan is carried out with: its YAML, commands, scripts. What is shown is what runs. Imports no torch."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.advisor.deciding.planned import to_fill_in
from hf_transfer_kit.advisor.exports.scripts import SCRIPTED, job_script, python_script
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
    repo: str = "ORG/NAME", requirement: str | None = None, folder: Path = Path(),
) -> PlanExport:  # fmt: skip
    """`plan` as files and commands; the files are called plan.yaml and job.py, and lie in `folder`.

    Args:
        processes: that share the work, one per GPU.
        gpu: whether they run on GPUs.
        flavor, timeout: of the job, as `hf jobs uv run` takes them; without a timeout a job ends after 30 minutes.
        repo: where the job puts its result.
        folder: where the files lie, and the results will.

    Raises:
        PlanError: the batch cannot be shared by so many processes.

    Example:
        >>> from hf_transfer_kit.plan import DataSpec, Full, ModelSpec
        >>> plan = TransferPlan(data=DataSpec(path="a.csv"), model=ModelSpec(name="m"), approach=Full())
        >>> export_plan(plan).command
        'transfer-kit run plan.yaml --out runs/plan'
    """
    notes, (mounts, arguments) = [*to_fill_in(plan)], _mounted(plan)
    if mounts:
        copied = ", ".join(mount.rpartition(":")[0] for mount in mounts[1::2])
        notes.append(f"The job's command copies from this machine into a bucket of yours, all that lies in: {copied}.")
    job = ["hf", "jobs", "uv", "run", "--flavor", flavor, "--timeout", timeout, "--secrets", "HF_TOKEN", *mounts,
           str(folder / "job.py"), "--repo", repo, *arguments]  # fmt: skip
    file, out = str(folder / "plan.yaml"), str(folder / "runs/plan")
    scripted = isinstance(plan.approach, SCRIPTED)
    if not scripted:
        notes.append(f"{plan.approach.name} has no script of its own; the plan runs it.")
    return PlanExport(
        yaml=plan.to_yaml(),
        command=shlex.join(["transfer-kit", "run", file, "--out", out]),
        launch=launch_command(plan, processes=processes, gpu=gpu, file=file, out=out),
        python=python_script(plan, str(folder / "runs/script")) if scripted else "",
        job=job_script(plan, requirement),
        job_command=shlex.join(job),
        notes=tuple(notes),
    )


def _mounted(plan: TransferPlan) -> tuple[list[str], list[str]]:
    """(options of `hf jobs uv run`, arguments of the job's script) for what a job does not find in its place."""
    old, model = plan.old_data, plan.model
    places = {"data": plan.data.path, "old-data": old.path if old else "", "model": model.name if model else ""}
    mounts, arguments = [], []
    for name, path in places.items():
        if path and os.path.exists(os.path.expanduser(path)):
            place = Path(path).expanduser().resolve()
            mounts += ["--volume", f"{place.parent if place.is_file() else place}:/{name}"]
            arguments += [f"--{name}", f"/{name}/{place.name}" if place.is_file() else f"/{name}"]
    return mounts, arguments


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
