"""A study: one data set, some models, some approaches, some seeds -> many plans, each run once, then one report.

    models, approaches = (ModelSpec(name="org/model"),), (Features(), Full())
    study = Study(data=DataSpec(path="reviews.csv"), models=models, approaches=approaches)
    comparison = carry_out(study, Path("out"))

An approach may be a Method, which also protects old data. Each run has a process of its own (run_process). Runs that
have a record are kept, so the same call after an interruption does only what is missing, and a study may grow by
approaches, models, seeds and sizes.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.result import Comparison, Failure
from hf_transfer_kit.errors import PlanError, ResourceError
from hf_transfer_kit.plan import (
    CONTROLS,
    DETERMINISTIC,
    Approach,
    DataSpec,
    FewShot,
    Majority,
    ModelSpec,
    Shallow,
    Training,
    TransferPlan,
    ZeroShot,
)
from hf_transfer_kit.plan.specs import short_model_name
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.reporting.quantities import whole
from hf_transfer_kit.reporting.report import write_report
from hf_transfer_kit.study.folder import FORMAT, VERSION, StudyFolder
from hf_transfer_kit.study.method import Method
from hf_transfer_kit.study.run_process import RunProcesses
from hf_transfer_kit.study.watcher import Silent, Watcher
from hf_transfer_kit.values import to_mapping

if TYPE_CHECKING:
    from hf_transfer_kit.data.labelled import LabelledData
    from hf_transfer_kit.data.old_text import OldTextData


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is compared.

    Fields:
        models: pre-trained models; each approach runs on every one.
        prompt_models: more models, which only zero_shot and few_shot run on: larger ones, or remote ones.
        approaches: with protections where a `Method`; the controls (majority class, TF-IDF or raw pixels) are always
            added.
        old_data: what must not be forgotten: a model learns it first, and every approach starts from there. The
            controls and a random start know nothing of it.
        training: the loop of the trained approaches.
        seeds: runs of each approach, with seeds 0, 1, ...; what has no randomness runs once.
        train_sizes: labelled training examples, one point of the learning curve each; None: all of them.
        dollars_per_hour: what this machine costs, to set training against billed answers; None: not known.

    Raises:
        PlanError: there is nothing to compare, something is given twice, a number is out of range, an approach takes
            no protection, or old data is to be protected and none is given.

    Example:
        >>> study = Study(data=DataSpec(path="reviews.csv"), models=(), approaches=(), seeds=2)
        >>> list(study.plans())
        ['controls/majority/all/seed-0', 'controls/shallow/all/seed-0']
    """

    data: DataSpec
    models: tuple[ModelSpec, ...]
    approaches: tuple[Approach | Method, ...]
    prompt_models: tuple[ModelSpec, ...] = ()
    old_data: DataSpec | None = None
    training: Training = field(default_factory=Training)
    seeds: int = 3
    train_sizes: tuple[int | None, ...] = (None,)
    dollars_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise PlanError(f"seeds={self.seeds} must be >= 1; use 3 to see the spread.")
        if not self.train_sizes:
            raise PlanError("no train size is given; use all for all examples.")
        for size in self.train_sizes:
            if size is not None and size < 1:
                raise PlanError(f"train size {size} must be >= 1; use all for all examples.")
        for method in self.methods:
            if not isinstance(method.approach, CONTROLS) and not self._models_of(method):
                raise PlanError(f"no model is given for '{method.name}'; add --model NAME_OR_FOLDER.")
        for model in self.models:
            if model.remote is not None:
                raise PlanError(f"model '{model.name}' answers elsewhere, so that it can only be a prompt model.")
        names = [method.folder for method in self.methods]
        self._check_once("model", [model.name for model in (*self.models, *self.prompt_models)])
        self._check_once("approach", names)
        self._check_once("train size", ["all" if size is None else str(size) for size in self.train_sizes])
        self.plans()  # each checks itself

    @property
    def methods(self) -> tuple[Method, ...]:
        """The approaches, each with its protections."""
        return tuple(each if isinstance(each, Method) else Method(approach=each) for each in self.approaches)

    @staticmethod
    def _check_once(what: str, names: Sequence[str]) -> None:
        for name in names:
            if names.count(name) > 1:
                raise PlanError(f"{what} '{name}' is given twice; name it once.")

    def plans(self) -> dict[str, TransferPlan]:
        """Every run by its folder name below the study's: controls first, then approach by approach, size by size."""
        plans = {}
        largest = None if None in self.train_sizes else max(size or 0 for size in self.train_sizes)
        for size in self.train_sizes:
            data = replace(self.data, train_size=size)
            for method, model, folder in self._arms():
                without_labels = isinstance(method.approach, ZeroShot) and not method.approach.looks_at_labels
                if without_labels and size != largest:
                    continue  # it would answer the same
                once = without_labels or (isinstance(method.approach, DETERMINISTIC) and size is None)
                for seed in range(1 if once else self.seeds):
                    name = f"{folder}/{'all' if size is None else size}/seed-{seed}"
                    plans[name] = TransferPlan(
                        data=data, model=model, approach=method.approach, training=self.training, seed=seed,
                        old_data=self.old_data, protection=method.protection,
                    )  # fmt: skip
        return plans

    def _arms(self) -> list[tuple[Method, ModelSpec | None, str]]:
        """(method, model, folder) of everything compared."""
        controls = (Method(approach=Majority()), Method(approach=Shallow()))
        arms: list[tuple[Method, ModelSpec | None, str]] = [
            (method, None, f"controls/{method.name}") for method in controls
        ]
        folders = _folders((*self.models, *self.prompt_models))
        for method in self.methods:
            if not isinstance(method.approach, CONTROLS):
                arms += [(method, model, f"{folders[model]}/{method.folder}") for model in self._models_of(method)]
        return arms

    def _models_of(self, method: Method) -> tuple[ModelSpec, ...]:
        """The models that `method` runs on."""
        more = self.prompt_models if isinstance(method.approach, ZeroShot | FewShot) else ()
        return (*self.models, *more)

    def to_yaml(self) -> str:
        """The study as YAML, as it is kept in its folder."""
        settings = [method.to_mapping() for method in self.methods]
        mapping = {"format": FORMAT, "version": VERSION} | to_mapping(self) | {"approaches": settings}
        return yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True)


def _folders(models: Sequence[ModelSpec]) -> dict[ModelSpec, str]:
    """A folder name for each model: the last part of its name, numbered where two are the same."""
    names: dict[ModelSpec, str] = {}
    for model in models:
        name = short_model_name(str(Path(model.name).expanduser().absolute())) or "model"
        while name in names.values() or name == "controls":
            name += "-2"
        names[model] = name
    return names


def carry_out(study: Study, out: Path | str, watcher: Watcher | None = None, command: str = "") -> Comparison:
    """Runs what is missing of `study` in `out`, and writes report.md, report.html and comparison.json there.

    A run that fails does not end the study: it is among the comparison's `failures`, and the next call tries it again.

    Args:
        watcher: who is told how it goes; None: nobody.
        command: the line that repeats the study, for the report.

    Raises:
        OutputError: `out` holds another study or cannot be written, or another process is at work in it.
        ResourceError: not enough disk or memory, before the first run or in the middle.
        TransferKitError: the data or a model cannot be used, or no run succeeded. What was finished is kept.
    """
    from hf_transfer_kit.study import preflight

    watcher = watcher or Silent()
    with StudyFolder(Path(out)) as folder:
        watcher.preparing("reading the data")
        folder.check_same(study)
        preflight.check_found((*study.models, *study.prompt_models))
        data, old = _load(study)
        preflight.check_models(study, data.task)
        plans, left_out = preflight.possible(study.plans(), data.task)
        kept = folder.kept_runs(plans, data.hashes, old)
        missing = {name: plan for name, plan in plans.items() if name not in kept}
        preflight.check_room(missing.values(), folder.path, learns_old=hasattr(old, "label_names"))
        folder.claim(study)
        checks = folder.checks(data, watcher.preparing, old)
        notes = [f"old data: {note}" for note in _about_old(old)]
        watcher.data_loaded([*data.notes, *notes, *left_out], checks)
        watcher.runs_planned(list(missing), len(kept))
        failures = _run_all(missing, folder, watcher)
        records = [RunRecord.load(folder.record_file(name)) for name in plans if folder.record_file(name).exists()]
        if not records:
            raise ResourceError(f"no run succeeded; the first one says: {failures[0].message}")
        comparison = compare(
            records, checks, failures=failures, command=command, dollars_per_hour=study.dollars_per_hour
        )
        comparison = replace(comparison, warnings=(*comparison.warnings, *left_out))
        write_report(comparison, folder.path)
        return comparison


def _load(study: Study) -> "tuple[LabelledData, LabelledData | OldTextData | None]":
    """The data, which every size must fit, and the old data; what is impossible is an error now, not in the middle."""
    from hf_transfer_kit.data.labelled import load_data, subset_rows

    data = load_data(study.data)
    for size in study.train_sizes:
        subset_rows(data, size, seed=0)
    if study.old_data is None:
        return data, None
    from hf_transfer_kit.data.old import load_with_old
    from hf_transfer_kit.data.old_text import OldTextData, check_old_text_use

    old = load_with_old(study.data, study.old_data)[1]
    if isinstance(old, OldTextData):
        for method in study.methods:
            check_old_text_use(old, data.task, method.approach, method.protection)
    return data, old


def _about_old(old: "LabelledData | OldTextData | None") -> list[str]:
    """What is there of the old data, and what was decided about it."""
    if old is None:
        return []
    parts = {part: len(getattr(old, part)) for part in ("train", "validation", "test") if hasattr(old, part)}
    counts = ", ".join(f"{whole(count)} {part}" for part, count in parts.items())
    return [f"{counts} rows", *old.notes]


def _run_all(plans: Mapping[str, TransferPlan], folder: StudyFolder, watcher: Watcher) -> list[Failure]:
    """Carries out `plans` one after the other; what failed."""
    failures: list[Failure] = []
    processes = RunProcesses()
    for number, (name, plan) in enumerate(plans.items(), start=1):
        watcher.run_started(name, number, len(plans))
        started = time.monotonic()
        message = processes.run(plan, folder.run_folder(name), watcher.run_event)
        if folder.record_file(name).exists():
            message = ""  # what breaks after the record is written costs nothing
        watcher.run_ended(name, message, time.monotonic() - started)
        if message:
            failures.append(Failure(run=name, message=message))
    return failures
