"""Arms: run records sorted by what was compared, with names for people. Imports no torch."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.plan import APPROACHES, CONTROLS, Approach, ModelSpec, Protection, Scratch
from hf_transfer_kit.plan.specs import short_model_name
from hf_transfer_kit.records import Cost, PredictionCost, RunRecord
from hf_transfer_kit.tasks import get_task

Method = tuple[Approach, Protection]  # with their settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One method with its settings on one model at one number of training examples: records by ascending seed."""

    name: str
    approach: Approach
    protection: Protection
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

    @property
    def labels_used(self) -> int:
        """Labelled examples each run could learn or choose from."""
        return self.records[0].data.labels_used

    @property
    def is_remote(self) -> bool:
        """True where another machine answers."""
        return self.model is not None and self.model.remote is not None

    def mean_cost(self) -> Cost:
        """Mean over the runs; of 1000 predictions too where every run has that."""
        costs = [record.cost for record in self.records]
        thousands = [cost.thousand for cost in costs if cost.thousand is not None]
        means = _means(costs)
        whole = {name: round(means[name]) for name in ("trainable_parameters", "total_parameters")}
        thousand = PredictionCost(**_means(thousands)) if len(thousands) == len(costs) else None
        return Cost(**(means | whole | {"cached": costs[0].cached, "thousand": thousand}))  # type: ignore[arg-type]


def _means(costs: Sequence[Cost] | Sequence[PredictionCost]) -> dict[str, float]:
    """The mean of every number in `costs`, by its name."""
    names = [field.name for field in dataclasses.fields(costs[0]) if field.name != "thousand"]
    return {name: float(np.mean([getattr(cost, name) for cost in costs])) for name in names}


def group(records: Sequence[RunRecord]) -> list[Arm]:
    """The arms of one comparison, ordered by approach, model and training size, whatever the order of the records.

    An arm that looks at no label is the same at every training size, and there once: with the most examples.

    Raises:
        FormatError: there is no record, the records are not of one data set, or two are of the same run.
    """
    if not records:
        raise FormatError("there is no finished run to compare; look at the failures, or start the comparison again.")
    for record in records[1:]:
        _check_same_data(records[0], record)
    _check_same_old_data(records)
    by_key: dict[tuple[Method, ModelSpec | None, int], dict[int, RunRecord]] = defaultdict(dict)
    for record in records:
        method = (record.plan.approach, record.plan.protection)
        model = record.plan.model and record.plan.model.without_limits()
        seeds = by_key[method, model, record.data.rows["train"]]
        if record.plan.seed in seeds:
            raise FormatError(f"two records are of the same run ({run_name(record)}); leave one of them out.")
        seeds[record.plan.seed] = record
    names = _names(by_key, records[0].task)
    arms = [
        Arm(
            name=names[method, model],
            approach=method[0],
            protection=method[1],
            model=model,
            train_size=size,
            records=tuple(seeds[seed] for seed in sorted(seeds)),
        )
        for (method, model, size), seeds in by_key.items()
    ]
    order, most = list(APPROACHES), {arm.name: arm.train_size for arm in sorted(arms, key=lambda arm: arm.train_size)}
    arms = [arm for arm in arms if arm.labels_used or arm.train_size == most[arm.name]]
    return sorted(arms, key=lambda arm: (order.index(arm.approach.name), arm.name, arm.train_size))


def run_name(record: RunRecord) -> str:
    """A run for an error text: method, model, training examples and seed."""
    model = f" on {record.plan.model.name}" if record.plan.model else ""
    size = record.data.rows["train"]
    return f"{record.plan.method}{model}, {size} training examples, seed {record.plan.seed}"


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


def _check_same_old_data(records: Sequence[RunRecord]) -> None:
    """Runs with old data must have started from the same old task and answered the same old items."""
    started = [record for record in records if not isinstance(record.plan.approach, (*CONTROLS, Scratch))]
    for record in started[1:]:
        if (started[0].plan.old_data is None) != (record.plan.old_data is None):
            with_old, without = sorted((started[0], record), key=lambda each: each.plan.old_data is None)
            raise FormatError(
                f"'{run_name(with_old)}' starts from a model that knows old data, '{run_name(without)}' does not; "
                "compare runs that start from the same model."
            )
    measured = [(record, _old_identity(record)) for record in records if record.old or record.old_text]
    for record, identity in measured[1:]:
        if identity != measured[0][1]:
            raise FormatError(
                f"'{run_name(measured[0][0])}' and '{run_name(record)}' have different old data; compare runs of one "
                "old data set."
            )


def _old_identity(record: RunRecord) -> tuple[object, ...]:
    """Equal for records whose answers to the old items may be compared."""
    old, text = record.old, record.old_text
    return (
        (sorted(old.data.hashes.items()), old.labels, old.old_labels) if old else None,
        (text.measure, text.digest, len(text.after)) if text else None,
    )


def _names(
    keys: Iterable[tuple[Method, ModelSpec | None, int]], task: str
) -> dict[tuple[Method, ModelSpec | None], str]:
    """A short name for each pair: what sets it apart from the others, and no more."""
    pairs = {(method, model) for method, model, _ in keys}
    methods = {method for method, _ in pairs}
    models = {model for _, model in pairs if model is not None}
    model_names = _model_names(models)
    names = {}
    for method, model in pairs:
        name = _method_name(method, methods, task)
        names[method, model] = f"{name} · {model_names[model]}" if model is not None and len(models) > 1 else name
    return names


def _method_name(method: Method, all_methods: set[Method], task: str) -> str:
    """The name in the plan, with the settings that differ between methods of that name."""
    approach, protection = method
    if approach.name == "majority":
        return "majority class"
    if approach.name == "shallow":
        return get_task(task).shallow_name
    plain = "+".join([approach.name, *protection.names])
    same = [_settings(other) for other in all_methods if "+".join([other[0].name, *other[1].names]) == plain]
    different = [
        f"{name}={value}" for name, value in _settings(method).items() if len({each[name] for each in same}) > 1
    ]
    return f"{plain} ({', '.join(different)})" if different else plain


def _settings(method: Method) -> dict[str, object]:
    """Of the approach by their names, of its protections as "replay.ratio"."""
    approach, protection = method
    settings = {field.name: getattr(approach, field.name) for field in dataclasses.fields(approach)}
    for name in protection.names:
        part = getattr(protection, name)
        settings |= {f"{name}.{field.name}": getattr(part, field.name) for field in dataclasses.fields(part)}
    return settings


def _model_names(models: set[ModelSpec]) -> dict[ModelSpec, str]:
    """The last part of each model's path; where not unique the whole path, where it answers, or the revision too."""
    remote = {model: " (remote)" if model.remote else "" for model in models}
    for names in (
        {model: short_model_name(model.name) for model in models},
        {model: model.name for model in models},
        {model: short_model_name(model.name) + remote[model] for model in models},
    ):
        if len(set(names.values())) == len(models):
            return names
    return {model: f"{model.name}@{model.revision or 'main'}{remote[model]}" for model in models}
