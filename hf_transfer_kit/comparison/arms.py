"""Arms: run records sorted by what was compared, with names for people. Imports no torch."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.plan import APPROACHES, Approach, ModelSpec
from hf_transfer_kit.records import Cost, RunRecord
from hf_transfer_kit.tasks import get_task


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One approach with its settings on one model at one number of training examples: records by ascending seed."""

    name: str
    approach: Approach
    model: ModelSpec | None
    train_size: int
    records: tuple[RunRecord, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in the order of the records."""
        return tuple(record.plan.seed for record in self.records)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each answer is right, (seeds, items)."""
        return np.array([np.equal(record.test.labels, record.test.predictions) for record in self.records])

    def mean_cost(self) -> Cost:
        """Mean over the runs."""
        costs = [record.cost for record in self.records]
        means = {
            field.name: float(np.mean([getattr(cost, field.name) for cost in costs]))
            for field in dataclasses.fields(Cost)
        }
        whole = {name: round(means[name]) for name in ("trainable_parameters", "total_parameters")}
        return Cost(**(means | whole | {"cached": costs[0].cached}))  # type: ignore[arg-type]


def group(records: Sequence[RunRecord]) -> list[Arm]:
    """The arms of one comparison, ordered by approach, model and training size, whatever the order of the records.

    Raises:
        FormatError: there is no record, the records are not of one data set, or two are of the same run.
    """
    if not records:
        raise FormatError("there is no finished run to compare; look at the failures, or start the comparison again.")
    for record in records[1:]:
        _check_same_data(records[0], record)
    by_key: dict[tuple[Approach, ModelSpec | None, int], dict[int, RunRecord]] = defaultdict(dict)
    for record in records:
        seeds = by_key[record.plan.approach, record.plan.model, record.data.rows["train"]]
        if record.plan.seed in seeds:
            raise FormatError(f"two records are of the same run ({run_name(record)}); leave one of them out.")
        seeds[record.plan.seed] = record
    names = _names(by_key, records[0].task)
    arms = [
        Arm(
            name=names[approach, model],
            approach=approach,
            model=model,
            train_size=size,
            records=tuple(seeds[seed] for seed in sorted(seeds)),
        )
        for (approach, model, size), seeds in by_key.items()
    ]
    order = list(APPROACHES)
    return sorted(arms, key=lambda arm: (order.index(arm.approach.name), arm.name, arm.train_size))


def run_name(record: RunRecord) -> str:
    """A run for an error text: approach, model, training examples and seed."""
    model = f" on {record.plan.model.name}" if record.plan.model else ""
    size = record.data.rows["train"]
    return f"{record.plan.approach.name}{model}, {size} training examples, seed {record.plan.seed}"


def _check_same_data(first: RunRecord, other: RunRecord) -> None:
    """Both runs must have learned from the same rows and answered the same items."""
    names = f"'{run_name(first)}' and '{run_name(other)}'"
    way_out = "compare runs of one data set and one split."
    if first.task != other.task:
        raise FormatError(f"{names} are of different tasks, {first.task} and {other.task}; {way_out}")
    if first.label_names != other.label_names:
        different = ", ".join(sorted(set(first.label_names) ^ set(other.label_names))[:3]) or "in another order"
        raise FormatError(f"{names} have different label names ({different}); {way_out}")
    for part in ("test", "train", "validation"):
        if first.data.hashes.get(part) != other.data.hashes.get(part):
            raise FormatError(f"{names} saw different data: the {part} parts have different hashes; {way_out}")
    if first.test.labels != other.test.labels:
        raise FormatError(f"{names} have different labels for the same test items; write the records again.")


def _names(
    keys: Iterable[tuple[Approach, ModelSpec | None, int]], task: str
) -> dict[tuple[Approach, ModelSpec | None], str]:
    """A short name for each pair: what sets it apart from the others, and no more."""
    pairs = {(approach, model) for approach, model, _ in keys}
    approaches = {approach for approach, _ in pairs}
    models = {model for _, model in pairs if model is not None}
    model_names = _model_names(models)
    names = {}
    for approach, model in pairs:
        name = _approach_name(approach, approaches, task)
        names[approach, model] = f"{name} · {model_names[model]}" if model is not None and len(models) > 1 else name
    return names


def _approach_name(approach: Approach, all_approaches: set[Approach], task: str) -> str:
    """The name in the plan, with the settings that differ between approaches of that name."""
    if approach.name == "majority":
        return "majority class"
    if approach.name == "shallow":
        return get_task(task).shallow_name
    same = [other for other in all_approaches if other.name == approach.name]
    different = [
        f"{field.name}={getattr(approach, field.name)}"
        for field in dataclasses.fields(approach)
        if len({getattr(other, field.name) for other in same}) > 1
    ]
    return f"{approach.name} ({', '.join(different)})" if different else approach.name


def _model_names(models: set[ModelSpec]) -> dict[ModelSpec, str]:
    """The last part of each model's path, the whole path or the revision too where that is not unique."""
    for describe in (short_model_name, lambda name: name):
        names = {model: describe(model.name) for model in models}
        if len(set(names.values())) == len(models):
            return names
    return {model: f"{model.name}@{model.revision or 'main'}" for model in models}


def short_model_name(name: str) -> str:
    """The last part of a model's name or folder.

    Example:
        >>> short_model_name("sentence-transformers/all-MiniLM-L6-v2")
        'all-MiniLM-L6-v2'
    """
    return name.rstrip("/").rpartition("/")[2]
