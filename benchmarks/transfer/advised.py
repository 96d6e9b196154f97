"""What `transfer-kit advise` says to a person who has these rows and this model, and what its plan then reaches."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from benchmarks.transfer.approaches import Unit, training
from benchmarks.transfer.data_sets import TEXT
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.rules import advise
from hf_transfer_kit.cli import app
from hf_transfer_kit.plan import TRAINED, Approach, Full, Gradual, TopLayers, TransferPlan
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.tasks.task import Task
from hf_transfer_kit.values import read_json, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """One answer of the advisor.

    Fields:
        method: of its first advice; by_rules: what it advises who tells numbers of labels and classes alone.
        plan: settings of approach and loop.
        frozen, similarity: what was measured; None: too few rows to tell, or nothing could be measured.
        labels: that were counted in the data: training and validation rows.
        notes: why nothing was measured.
        cpu_seconds: processor time of the whole command: reading, measuring, deciding.
    """

    method: str
    by_rules: str
    plan: dict[str, Any]
    frozen: str | None
    similarity: str | None
    labels: int
    notes: tuple[str, ...]
    cpu_seconds: float


def ask(unit: Unit, rows: Path, model: str, out: Path) -> Advised:
    """The answer of the command to the data in `rows`; asked once, and kept in `out`.

    Raises:
        RuntimeError: the command failed.
    """
    kept = out / "asked.json"
    if kept.exists():
        return Advised(**read_json(kept))
    words = ["advise", "--data", str(rows), "--models", model, "--offline", "--json", "--out", str(out)]
    before = time.process_time()
    answer = CliRunner().invoke(app, words)
    spent = time.process_time() - before
    if answer.exit_code:
        raise RuntimeError(f"{unit.name}: transfer-kit {' '.join(words)}: {answer.output}") from answer.exception
    said = json.loads(answer.stdout)
    plan = TransferPlan.load(out / "plan.yaml").to_mapping()
    evidence = said["evidence"] or {}
    advised = Advised(
        method=said["method"], by_rules=by_rules(unit, said["facts"]["n_labelled"]),
        plan={part: plan[part] for part in ("approach", "training")},
        frozen=evidence.get("frozen"), similarity=evidence.get("similarity"), labels=said["facts"]["n_labelled"],
        notes=tuple(said["notes"]), cpu_seconds=spent,
    )  # fmt: skip
    write_json(kept, {name: getattr(advised, name) for name in Advised.__slots__})
    return advised


def by_rules(unit: Unit, labels: int) -> str:
    """The method that the rules name where nothing is at hand to measure on."""
    facts = TaskFacts(
        task="classification", modality=unit.data_set.kind, n_labelled=labels, n_classes=unit.data_set.classes
    )
    return advise(facts).method


def plan_of(unit: Unit, out: Path) -> TransferPlan:
    """The plan that the command wrote, with the seed of this unit and the epochs that all approaches have here."""
    written = TransferPlan.load(out / "plan.yaml")
    loop = replace(written.training, epochs=training(unit).epochs)
    return replace(written, training=loop, seed=unit.seed)


def is_the_arm(unit: Unit, plan: TransferPlan, arm: TransferPlan | None) -> bool:
    """Whether an arm of the comparison does what `plan` says: it sees the same rows, and nothing else differs."""
    if arm is None or plan.protection.names:
        return False
    task = get_task(f"{unit.data_set.kind}-classification")
    if _with_rate(plan.approach, task) != _with_rate(arm.approach, task):
        return False
    if unit.data_set.kind == TEXT and plan.data.max_length != arm.data.max_length:
        return False
    return plan.training == arm.training or not isinstance(plan.approach, TRAINED)


def _with_rate(approach: Approach, task: Task) -> Approach:
    """The approach with the rate that a run takes where none is given."""
    if not isinstance(approach, Full | Gradual | TopLayers) or approach.learning_rate is not None:
        return approach
    return replace(approach, learning_rate=task.learning_rate)
