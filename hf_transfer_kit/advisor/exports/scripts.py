"""A plan as Python: the kit's callbacks around the plain Trainer of transformers, and a script for HF Jobs.

What a script does is what the plan says: the same rows, start, rates, steps, protections, and choice of the best
weights. The order of the rows is the Trainer's own and nothing is cached, so numbers differ a little from those of
`transfer-kit run`; where the order cannot matter they are the same. Imports no torch.
"""

import json
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import version
from typing import Any

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import Features, Full, Gradual, Lora, TopLayers, TransferPlan

SCRIPTED = (Features, TopLayers, Full, Gradual, Lora)


def python_script(plan: TransferPlan, folder: str = "runs/script") -> str:
    """The text of a script that trains as `plan` says, prints the test accuracy, and leaves the model in `folder`.

    Raises:
        PlanError: the approach has no script.

    Example:
        >>> from hf_transfer_kit.plan import DataSpec, ModelSpec
        >>> plan = TransferPlan(data=DataSpec(path="a.csv"), model=ModelSpec(name="m"), approach=Full())
        >>> "discriminative_lr(" in python_script(plan)
        True
    """
    if not isinstance(plan.approach, SCRIPTED):
        known = ", ".join(approach.name for approach in SCRIPTED)
        raise PlanError(f"there is no script for '{plan.approach.name}', only for {known}; use transfer-kit run.")
    if isinstance(plan.approach, Features):
        return _plan_script(plan, folder)
    from hf_transfer_kit.advisor.exports.trainer_script import trainer_script

    return trainer_script(plan, plan.approach, folder)


def code(value: Any) -> str:
    """A plan, or a part of one, as the Python expression that makes it; settings at their defaults are left out.

    Example:
        >>> code(Full(decay=1.0))
        'Full(decay=1.0)'
    """
    if not is_dataclass(value):
        return repr(value)
    given = []
    for field in fields(value):
        default: Any = field.default if field.default_factory is MISSING else field.default_factory()
        if getattr(value, field.name) != default:
            given.append(f"{field.name}={code(getattr(value, field.name))}")
    return f"{type(value).__name__}({', '.join(given)})"


def job_script(plan: TransferPlan, requirement: str | None = None) -> str:
    """The text of a script for `hf jobs uv run`: it says what to install, runs `plan`, and uploads the run's folder.

    The disk of a job is lost when it ends; `--repo ORG/NAME` is where the result goes. `--data`, `--old-data` and
    `--model` replace the plan's own places, for folders that are mounted into the job.

    Args:
        requirement: how to install the kit; None: this version of it.

    Raises:
        PlanError: `requirement` cannot stand in the header.

    Example:
        >>> from hf_transfer_kit.plan import DataSpec, ModelSpec
        >>> plan = TransferPlan(data=DataSpec(path="org/data"), model=ModelSpec(name="m"), approach=Full())
        >>> job_script(plan, "hf-transfer-kit").splitlines()[:3]
        ['# /// script', '# requires-python = ">=3.11"', '# dependencies = ["hf-transfer-kit"]']
    """
    requirement = requirement or f"hf-transfer-kit=={version('hf-transfer-kit')}"
    if any(sign in requirement for sign in '"\\\n\r'):
        raise PlanError(f"requirement {requirement!r} is none that pip reads; give a name, a version or an address.")
    return _JOB.replace("REQUIREMENT", requirement).replace("PLAN_AS_JSON", repr(json.dumps(plan.to_mapping())))


def _plan_script(plan: TransferPlan, folder: str) -> str:
    """The script of an approach that trains no weight of the model: nothing is shorter than the plan itself."""
    names = {type(value).__name__ for value in (plan.data, plan.model, plan.approach, plan.training)}
    names |= {"TransferPlan", *({"Training"} if "training=" in code(plan) else set())}
    used = sorted(name for name in names if f"{name}(" in code(plan))
    return _PLAN.format(names=", ".join(used), plan=code(plan), folder=repr(folder))


_PLAN = '''"""Frozen features with a logistic head on the best layer."""

from pathlib import Path

from hf_transfer_kit import {names}
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.run import run

plan = {plan}
record = run(plan, Path({folder}))
print(f"test accuracy {{accuracy(record.test.labels, record.test.predictions):.4f}}")
'''

_JOB = '''# /// script
# requires-python = ">=3.11"
# dependencies = ["REQUIREMENT"]
# ///
"""Carries out one plan and uploads what came of it."""

import argparse
import json
import threading
from dataclasses import asdict
from pathlib import Path

from huggingface_hub import HfApi

from hf_transfer_kit import TransferPlan
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.progress import follow
from hf_transfer_kit.run import run

parser = argparse.ArgumentParser()
parser.add_argument("--repo", help="ORG/NAME on the Hub for the result; the disk of a job is lost")
parser.add_argument("--data", help="path of the data, where it is not the plan's")
parser.add_argument("--old-data", help="the same of the old data")
parser.add_argument("--model", help="the same of the model")
parser.add_argument("--out", type=Path, default=Path("run"), help="folder of the run")
parser.add_argument("--events", action="store_true", help="print what the run says as lines of JSON")
asked = parser.parse_args()
mapping = json.loads(PLAN_AS_JSON)
if asked.data:
    mapping["data"]["path"] = asked.data
if asked.old_data:
    mapping["old_data"]["path"] = asked.old_data
if asked.model:
    mapping["model"]["name"] = asked.model
ended = threading.Event()
show = lambda event: print(json.dumps(asdict(event)), flush=True)
printer = threading.Thread(target=follow, args=(asked.out / "events.jsonl", ended, show), daemon=True)
if asked.events:
    printer.start()
try:
    record = run(TransferPlan.from_mapping(mapping), asked.out)
finally:
    ended.set()
    if asked.events:
        printer.join()
print(f"test accuracy {accuracy(record.test.labels, record.test.predictions):.4f}")
if asked.repo:
    HfApi().create_repo(asked.repo, private=True, exist_ok=True)
    HfApi().upload_folder(repo_id=asked.repo, folder_path=asked.out)
'''
