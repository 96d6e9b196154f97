"""The file of the benchmark: settings, every run, what was made of them."""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.forgetting.domain_methods import METHODS
from benchmarks.forgetting.domain_scores import CLASS, TASK, Estimate, Run, scores_of
from hf_transfer_kit.machine import library_versions, this_machine
from hf_transfer_kit.models import identity
from hf_transfer_kit.plan import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all methods share.

    Fields:
        train_rows, held_out_rows: of each intent.
        part: what is scored on.
        domains: learned one after another.
        epochs, batch_size: of each domain.
        blocks: that train, from the top; those below are frozen.
        head_learning_rate: of the output layer; the body's is the method's.
    """

    train_rows: int = 20
    held_out_rows: int = 10
    part: str = "test"
    domains: int = 10
    epochs: int = 3
    batch_size: int = 16
    blocks: int = 2
    head_learning_rate: float = 1e-2


@dataclass(kw_only=True)
class Record:
    """Everything that was measured with one set of settings.

    Fields:
        path: where it is kept.
        about: the question, date, model, data, versions and machine.
        settings: of all runs.
        choosing: the runs from which strengths are chosen.
        runs: the others.
    """

    path: Path
    about: dict[str, Any]
    settings: Settings
    choosing: list[Run] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    @classmethod
    def begin_or_continue(cls, folder: Path, settings: Settings, model: str, sha256: dict[str, str]) -> "Record":
        """The newest record in `folder` with these settings, model and data; else a new one of today."""
        weights = identity(ModelSpec(name=model)).weights_digest
        for path in sorted(folder.glob("domains-*.json"), reverse=True):
            kept = json.loads(path.read_text(encoding="utf-8"))
            about = kept["about"]
            if (kept["settings"], about["weights"], about["data_sha256"]) == (asdict(settings), weights, sha256):
                choosing, runs = ([Run(**run) for run in kept[part]] for part in ("choosing", "runs"))
                return cls(path=path, about=about, settings=settings, choosing=choosing, runs=runs)
        about = {
            "question": "what does each protection keep while MiniLM learns the ten domains of CLINC150 in turn?",
            "date": date.today().isoformat(),
            "model": Path(model).name,
            "weights": weights,
            "data_sha256": sha256,
            "versions": library_versions(),
            "machine": this_machine(),
        }
        return cls(path=folder / f"domains-{about['date']}.json", about=about, settings=settings)

    def add(self, run: Run, choosing: bool) -> None:
        """Takes a finished run in and writes the file."""
        (self.choosing if choosing else self.runs).append(run)
        self.path.parent.mkdir(exist_ok=True)
        content = {
            "about": self.about,
            "settings": asdict(self.settings),
            "chosen": {name: self.chosen(name) for name, (_, values) in METHODS.items() if values},
            "summary": [asdict(line) for line in summary(self)],
            "choosing": [asdict(each) for each in self.choosing],
            "runs": [asdict(each) for each in self.runs],
        }
        text = json.dumps(content, indent=1, default=float)
        self.path.write_text(text + "\n", encoding="utf-8")

    def chosen(self, method: str) -> float | None:
        """The setting with the best mean of both average accuracies on validation rows; None: there is none."""
        runs = [run for run in self.choosing if run.method == method]
        return max(runs, key=lambda run: run.average(CLASS) + run.average(TASK)).setting if runs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One method over its seeds; see `domain_scores.Scores`."""

    method: str
    setting: float | None
    seeds: int
    class_incremental: Any
    task_incremental: Any
    cpu_seconds_per_domain: float


def summary(record: Record) -> list[Line]:
    """A line for each method that has runs, in the order of `METHODS`."""
    by_method: dict[str, list[Run]] = defaultdict(list)
    for run in record.runs:
        by_method[run.method].append(run)
    return [
        Line(
            method=name, setting=runs[0].setting, seeds=len(runs), class_incremental=scores_of(runs, CLASS),
            task_incremental=scores_of(runs, TASK),
            cpu_seconds_per_domain=median(seconds for run in runs for seconds in run.cpu_seconds),
        )
        for name in METHODS
        if (runs := by_method[name])
    ]  # fmt: skip


def show(record: Record) -> None:
    """Prints the tables of the README, in percent and percentage points."""
    for scenario in (CLASS, TASK):
        print(f"\n{scenario.replace('_', '-')}\n")
        print("| method | average accuracy | just learned | backward transfer | forward transfer | CPU s a domain |")
        print("|---|---|---|---|---|---|")
        for line in summary(record):
            found = getattr(line, scenario)
            cells = map(written, (found.average, found.learned, found.backward, found.forward))
            setting = "" if line.setting is None else f" ({line.setting:g})"
            print(f"| {line.method}{setting} | {' | '.join(cells)} | {line.cpu_seconds_per_domain:.1f} |")


def written(estimate: Estimate | None) -> str:
    """An estimate in percent, with its interval; a dash where there is none.

    Example:
        >>> written(Estimate(mean=0.5, low=0.25, high=0.75))
        '50.0 [25.0, 75.0]'
    """
    if estimate is None:
        return "-"
    return f"{100 * estimate.mean:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
