"""One unit: the advice is asked for, every approach runs, the advised plan runs; all of it kept, so it can go on."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.transfer import advised
from benchmarks.transfer.advised import Advised
from benchmarks.transfer.approaches import Unit, plans
from benchmarks.transfer.data_sets import prepare, write_size
from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.plan import DataSpec, ModelSpec, TransferPlan
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.run import RECORD_FILE, run
from hf_transfer_kit.values import read_json, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One finished run.

    Fields:
        accuracy: on test.
        cpu_seconds: processor time from loaded data to a model ready to answer.
        labels: looked at, of training and validation.
        steps, best_step: of the optimizer; None where nothing trains.
    """

    accuracy: float
    cpu_seconds: float
    labels: int
    steps: int | None = None
    best_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a unit gave.

    Fields:
        arms: outcome of each approach.
        advice: of the command.
        advised: outcome of its plan; advised_is_arm: the plan is an approach of the comparison to the last setting.
        data_sha256: of each part of its rows.
    """

    data_set: str
    size: int
    seed: int
    arms: dict[str, Outcome]
    advice: Advised
    advised: Outcome
    advised_is_arm: bool
    data_sha256: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> "Measured":
        """From plain values."""
        arms = {name: Outcome(**each) for name, each in kept["arms"].items()}
        advice, outcome = Advised(**kept["advice"]), Outcome(**kept["advised"])
        return cls(**(kept | {"arms": arms, "advice": advice, "advised": outcome}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where everything is.

    Fields:
        source: the folder of the data sets.
        out: where runs are kept, and what a stopped benchmark goes on from.
        models: by the kind of data.
    """

    source: Path
    out: Path
    models: dict[str, str]

    def file(self, unit: Unit) -> Path:
        """Of a finished unit."""
        return self.out / "units" / f"{unit.name}.json"

    def finished(self, unit: Unit) -> Measured | None:
        """What `unit` gave; None where it has not run."""
        return Measured.of(read_json(self.file(unit))) if self.file(unit).exists() else None

    def pool(self, unit: Unit) -> Path:
        """The folder of all rows of its data set."""
        return prepare(unit.data_set, self.source, self.out / "data" / unit.data_set.name)

    def rows(self, unit: Unit) -> Path:
        """The folder of its own rows, as a person has them who has no more."""
        pool = load_data(DataSpec(path=str(self.pool(unit))))
        return write_size(pool, unit.size, unit.seed, self.out / "runs" / unit.name / "data")

    def measure(self, unit: Unit) -> Measured:
        """Runs what is missing of `unit`."""
        model, folder = self.models[unit.data_set.kind], self.out / "runs" / unit.name
        rows = self.rows(unit)
        advice = advised.ask(unit, rows, model, folder / "advice")
        arms = plans(unit, self.pool(unit), ModelSpec(name=model))
        outcomes = {name: _outcome(plan, folder / name) for name, plan in arms.items()}
        plan = advised.plan_of(unit, folder / "advice")
        same = advised.is_the_arm(unit, plan, arms.get(plan.approach.name))
        reached = outcomes[plan.approach.name] if same else _outcome(plan, folder / "advised")
        found = Measured(
            data_set=unit.data_set.name, size=unit.size, seed=unit.seed, arms=outcomes, advice=advice,
            advised=reached, advised_is_arm=same, data_sha256=dict(load_data(DataSpec(path=str(rows))).hashes),
        )  # fmt: skip
        write_json(self.file(unit), asdict(found))
        return found

    def records(self, units: list[Unit]) -> list[RunRecord]:
        """Of every approach of the finished `units`, for `compare`."""
        folders = [self.out / "runs" / unit.name for unit in units if self.file(unit).exists()]
        files = [path for folder in folders for path in sorted(folder.glob(f"*/{RECORD_FILE}"))]
        return [RunRecord.load(file) for file in files if file.parent.name != "advised"]


def _outcome(plan: TransferPlan, folder: Path) -> Outcome:
    """Of a run in this process, by the door that every command of the kit goes through."""
    record = run(plan, folder)
    return Outcome(
        accuracy=accuracy(record.test.labels, record.test.predictions), cpu_seconds=record.cost.train_cpu_seconds,
        labels=record.data.labels_used, steps=record.details.get("steps"), best_step=record.details.get("best_step"),
    )  # fmt: skip
