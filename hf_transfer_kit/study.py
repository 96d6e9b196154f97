"""A study: one data set, some models, some approaches, some seeds -> many plans, each run once, then one report.

    study = Study(data=DataSpec(path="reviews.csv"), models=(ModelSpec(name="org/model"),), approaches=(Features(), Full()))
    comparison = carry_out(study, Path("out"), Silent())

Each run has a process of its own: its memory is measured from a clean start, and what kills it (memory, a driver) does not
kill the study. Runs that have a record are skipped, so the same call after an interruption does only what is missing.
"""

import multiprocessing
import shutil
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Protocol

import filelock
import psutil
import yaml

from hf_transfer_kit.arms import short_model_name
from hf_transfer_kit.compare import compare
from hf_transfer_kit.comparison import Comparison, Failure
from hf_transfer_kit.errors import FormatError, OutputError, PlanError, ResourceError
from hf_transfer_kit.events import Event, read_events
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.plan import (
    CONTROLS,
    DETERMINISTIC,
    Approach,
    DataSpec,
    Majority,
    ModelSpec,
    Shallow,
    Training,
    TransferPlan,
)
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.report import write_report
from hf_transfer_kit.values import check_format, read_json, to_mapping, write_json, write_text_atomically
from hf_transfer_kit.worker import KIT_ERROR, work

FORMAT = "hf_transfer_kit.study"
VERSION = 1
STUDY_FILE, CHECKS_FILE = "study.yaml", "checks.json"
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is compared.

    Fields:
        approaches: of every model; the controls are always added.
        seeds: runs of each approach, with seeds 0, 1, ...; what has no randomness runs once.
        train_sizes: labelled training examples, one comparison point each; None among them, and alone: all of them.
    """

    data: DataSpec
    models: tuple[ModelSpec, ...]
    approaches: tuple[Approach, ...]
    training: Training = field(default_factory=Training)
    seeds: int = 3
    train_sizes: tuple[int | None, ...] = (None,)

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise PlanError(f"seeds={self.seeds} must be >= 1; use 3 to see the spread.")
        if not self.models and any(not isinstance(approach, CONTROLS) for approach in self.approaches):
            raise PlanError("no model is given; add --model NAME_OR_FOLDER.")
        for what, values in (("model", self.models), ("approach", self.approaches), ("train size", self.train_sizes)):
            if len(set(values)) < len(values):
                raise PlanError(f"a {what} is given twice; name each one once.")

    def plans(self) -> dict[str, TransferPlan]:
        """Every run by its folder name below the study's, cheap approaches first."""
        plans = {}
        for size in self.train_sizes:
            data = replace(self.data, train_size=size)
            for approach, model, folder in self._arms():
                repeats = isinstance(approach, DETERMINISTIC) and size is None
                for seed in range(1 if repeats else self.seeds):
                    name = f"{folder}/{'all' if size is None else size}/seed-{seed}"
                    plans[name] = TransferPlan(
                        data=data, model=model, approach=approach, training=self.training, seed=seed
                    )
        return plans

    def _arms(self) -> list[tuple[Approach, ModelSpec | None, str]]:
        """(approach, model, folder) of everything compared."""
        arms: list[tuple[Approach, ModelSpec | None, str]] = [
            (Majority(), None, "controls/majority"), (Shallow(), None, "controls/shallow"),
        ]  # fmt: skip
        folders = _folders(self.models)
        for approach in self.approaches:
            if not isinstance(approach, CONTROLS):
                arms += [(approach, model, f"{folders[model]}/{approach.name}") for model in self.models]
        return arms

    def to_yaml(self) -> str:
        """The study as YAML, as it is kept in its folder."""
        settings = [{"name": approach.name} | to_mapping(approach) for approach in self.approaches]
        mapping = {"format": FORMAT, "version": VERSION} | to_mapping(self) | {"approaches": settings}
        return yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True)


def _folders(models: Sequence[ModelSpec]) -> dict[ModelSpec, str]:
    """A folder name for each model: the last part of its name, numbered where two are the same."""
    names: dict[ModelSpec, str] = {}
    for model in models:
        name = short_model_name(model.name) or "model"
        while name in names.values() or name == "controls":
            name += "-2"
        names[model] = name
    return names


class Watcher(Protocol):
    """Who is told how a study goes."""

    def data_loaded(self, notes: Sequence[str], checks: CheckReport) -> None:
        """The data is read and checked."""

    def run_started(self, name: str, number: int, total: int) -> None:
        """Run `number` (from 1) of `total` begins."""

    def run_event(self, event: Event) -> None:
        """The current run says something."""

    def run_ended(self, name: str, message: str, seconds: float, skipped: bool) -> None:
        """The current run has a record, or failed with `message`; `skipped`: it had one before."""


def carry_out(study: Study, out: Path, watcher: Watcher, command: str = "") -> Comparison:
    """Runs what is missing of `study` in `out`, and writes report.md, report.html and comparison.json there.

    Args:
        command: the line that repeats the study, for the report.

    Raises:
        OutputError: `out` holds another study, or another process is at work in it.
        TransferKitError: the data or a model cannot be used, or no run succeeded.
    """
    context = _process_context()
    with _claimed(out, study):
        from hf_transfer_kit.data import load_data, subset_rows

        data = load_data(study.data)
        for size in study.train_sizes:
            subset_rows(data, size, seed=0)  # an impossible size is an error now, not in the middle
        _check_models(study, data.task)
        checks = _checks(data, out)
        watcher.data_loaded(data.notes, checks)
        plans = study.plans()
        _check_room(study, out)
        failures = [
            failure
            for number, (name, plan) in enumerate(plans.items(), start=1)
            if (failure := _carry_out_run(context, name, plan, out, watcher, number, len(plans))) is not None
        ]
        paths = [out / "runs" / name / "record.json" for name in plans]
        records = [RunRecord.load(path) for path in paths if path.exists()]
        if not records:
            raise ResourceError(f"no run succeeded; the first one says: {failures[0].message}")
        comparison = compare(records, checks, failures=failures, command=command)
        write_report(comparison, out)
        return comparison


def _process_context() -> BaseContext:
    """Processes that start with the libraries imported, where the system can do that."""
    if "forkserver" not in multiprocessing.get_all_start_methods() or multiprocessing.get_start_method() == "spawn":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hf_transfer_kit.run"])
    return context


def _carry_out_run(
    context: Any, name: str, plan: TransferPlan, out: Path, watcher: Watcher, number: int, total: int
) -> Failure | None:
    """Carries out one run in a process of its own; what went wrong, or None."""
    folder = out / "runs" / name
    watcher.run_started(name, number, total)
    skipped = (folder / "record.json").exists()
    started = time.monotonic()
    message = "" if skipped else _in_process(context, plan, folder, watcher)
    failed = not (folder / "record.json").exists()
    watcher.run_ended(name, message if failed else "", time.monotonic() - started, skipped)
    return Failure(run=name, message=message) if failed else None


def _in_process(context: Any, plan: TransferPlan, folder: Path, watcher: Watcher) -> str:
    """Runs `plan` to its end, passing its events on; why it failed, or ""."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = sum(1 for _ in read_events(folder / "events.jsonl"))
    process = context.Process(target=work, args=(plan.to_yaml(), str(folder)), daemon=True)
    process.start()
    last_error = ""
    try:
        while True:
            alive = process.is_alive()
            for event in _skip(folder / "events.jsonl", seen):
                seen += 1
                last_error = event.message if event.kind == "error" else last_error
                watcher.run_event(event)
            if not alive:
                break
            process.join(POLL_SECONDS)
    except BaseException:
        process.terminate()
        process.join(10)
        process.kill()
        raise
    if process.exitcode == 0:
        return ""
    if process.exitcode == KIT_ERROR:
        return last_error or _last_line(folder / "log.txt")
    if process.exitcode < 0:
        return (
            f"killed by signal {-process.exitcode}, most likely for lack of memory; use a smaller --batch-size with "
            "--accumulation, or a smaller model."
        )
    return f"stopped with an error: {_last_line(folder / 'log.txt')} (see {folder / 'log.txt'})"


def _skip(path: Path, seen: int) -> list[Event]:
    return list(read_events(path))[seen:]


def _last_line(path: Path) -> str:
    """The last line of a log that says something."""
    if not path.exists():
        return "it left no log"
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = deque((line.strip() for line in file if line.strip()), maxlen=1)
    return lines[0][:300] if lines else "it left an empty log"


class _claimed:
    """Makes `out` this study's folder, and this process the only one at work in it."""

    def __init__(self, out: Path, study: Study):
        self._out, self._study = out, study
        self._lock = filelock.FileLock(out / ".lock", timeout=0)

    def __enter__(self) -> None:
        try:
            if self._out.exists() and not (self._out / STUDY_FILE).exists() and any(self._visible()):
                raise OutputError(f"folder '{self._out}' is not empty and holds no comparison; choose a new --out.")
            self._out.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except filelock.Timeout as error:
            raise OutputError(f"another comparison is at work in '{self._out}'; wait for it, or choose another --out.") from error
        except (FileExistsError, NotADirectoryError, PermissionError) as error:
            raise OutputError(f"folder '{self._out}' cannot be written: {error.strerror}; choose another --out.") from error
        try:
            self._check_same()
        except BaseException:
            self._lock.release()
            raise
        write_text_atomically(self._out / STUDY_FILE, self._study.to_yaml())

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def _visible(self) -> list[Path]:
        return [path for path in self._out.iterdir() if not path.name.startswith(".")]

    def _check_same(self) -> None:
        """The folder may hold an earlier part of this study: same data and training; approaches, seeds and sizes may grow."""
        path = self._out / STUDY_FILE
        if not path.exists():
            return
        try:
            earlier = check_format(yaml.safe_load(path.read_text(encoding="utf-8")), name=FORMAT, version=VERSION, where=str(path))
        except yaml.YAMLError as error:
            raise FormatError(f"{path} is not valid YAML; choose another --out.") from error
        now = to_mapping(self._study)
        for part in ("data", "training"):
            for name, value in now[part].items():
                if earlier.get(part, {}).get(name) != value:
                    raise OutputError(
                        f"folder '{self._out}' holds another comparison: its {part}.{name} is "
                        f"{earlier.get(part, {}).get(name)!r}, now {value!r}; choose another --out."
                    )


def _checks(data: Any, out: Path) -> CheckReport:
    """The checks of `data`, kept in the folder: they take a while for images."""
    from hf_transfer_kit.checks import check_data

    path, hashes = out / CHECKS_FILE, dict(data.hashes)
    if path.exists():
        kept = read_json(path)
        if kept.get("hashes") == hashes:
            return CheckReport.from_mapping(kept["report"], where=str(path))
    report = check_data(data)
    write_json(path, {"hashes": hashes, "report": report.to_mapping()})
    return report


def _check_models(study: Study, task_name: str) -> None:
    """Every model exists, has its tokenizer or image processor, and is of the right kind: said before hours of work."""
    from hf_transfer_kit.models import load_config
    from hf_transfer_kit.tasks import get_task

    for model in study.models:
        load_config(model)
        get_task(task_name).check_model(model)


def _check_room(study: Study, out: Path) -> None:
    """Disk for the models and checkpoints, memory for one training run, as far as the weights' size tells."""
    from hf_transfer_kit.models import weights_bytes

    largest = max((weights_bytes(model) for model in study.models), default=0)
    trained = [a for a in study.approaches if not isinstance(a, DETERMINISTIC)]
    if not trained or not largest:
        return
    runs = len(trained) * study.seeds * len(study.train_sizes)
    needed = sum(weights_bytes(model) for model in study.models) * runs + 5 * largest  # 5: one checkpoint with its optimizer
    free = shutil.disk_usage(out).free
    if needed > free:
        raise ResourceError(
            f"the {runs} trained runs of each model need about {needed >> 20} MiB of disk, '{out}' has {free >> 20} MiB free; "
            "make room, or choose fewer seeds or an --out on another disk."
        )
    memory = psutil.virtual_memory().available
    if 4 * largest > memory and not _has_gpu():
        raise ResourceError(
            f"training the largest model needs at least {4 * largest >> 20} MiB of memory (weights, gradients, optimizer), "
            f"{memory >> 20} MiB are free; choose a smaller model, or --approaches features,lora."
        )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


