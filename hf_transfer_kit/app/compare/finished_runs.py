"""Runs that are finished, as a visitor may see them: found by their records, named by ids, never by paths."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hf_transfer_kit.app.settings import JOBS_FOLDER, Settings
from hf_transfer_kit.comparison.differences import split_of
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.launch.queue import read_jobs
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.plan import CONTROLS, Scratch
from hf_transfer_kit.plan.specs import short_model_name
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.reporting.places import last_part
from hf_transfer_kit.saved_model import weights_hash

MOST_RUNS = 200
RECORD_FILE, MODEL_FOLDER = "record.json", "model"
PASSED_BY = ("model", "checkpoints", "uploads", "pictures")  # folders that hold no run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a list needs of a record, which itself may be large.

    Fields:
        method: approach and protections, with the number of examples of a prompt.
        model: the last part of its name; "" for the controls.
        rows: training rows.
        seed: of the run.
        data: the last part of the data's name.
        accuracy: on the test items.
        finished: UTC, "2026-11-21 18:03".
        task: "text-classification", ...
        split: equal for runs of one split; see `comparison.differences.split_of`.
        old: equal for runs that started from the same old skill; None where the approach starts from none.
        setting: equal for runs that repeat each other.
        remote: it asks a model on another machine.
        started_from: hash of the weights it started from; "" where it started from none, or nobody can tell.
    """

    method: str
    model: str
    rows: int
    seed: int
    data: str
    accuracy: float
    finished: str
    task: str
    split: tuple[object, ...]
    old: str | None
    setting: str
    remote: bool
    started_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run with a record.

    Fields:
        id: its place below the folder of all runs; nothing else is taken from a browser.
        folder: where it lies.
    """

    id: str
    folder: Path
    facts: RunFacts

    @property
    def record(self) -> RunRecord:
        """What it measured; raises FormatError where the file has been removed or damaged since."""
        return RunRecord.load(self.folder / RECORD_FILE)

    @property
    def weights(self) -> str:
        """12 digits that tell what answers from other runs; "" where nothing was saved."""
        return weights_hash(self.folder / MODEL_FOLDER)

    def is_of_job(self, job_id: str) -> bool:
        """Whether the job left it, itself or one of several."""
        return f"{self.id}/".startswith(f"{JOBS_FOLDER}/{job_id}/")


def finished_runs(settings: Settings, mark: object) -> list[FinishedRun]:
    """The runs a visitor may see, the newest first, 200 at most; records that cannot be read are left out.

    On one's own machine these are all below the folder of runs; where the app is shared, those of the visitor's jobs.

    Raises:
        OutputError: `mark` is not what the app gave out.
    """
    owner = settings.owner_of(mark)
    roots = [settings.runs]
    if settings.shared:
        jobs = settings.runs / JOBS_FOLDER
        roots = [jobs / job.id for job in read_jobs(jobs) if job.owner == owner]
    dated = sorted(((_changed(folder), folder) for root in roots for folder in _run_folders(root)), reverse=True)
    found = []
    for changed, folder in dated[:MOST_RUNS]:
        facts = _facts(str(folder / RECORD_FILE), changed)
        if facts is not None:
            run_id = folder.relative_to(settings.runs).as_posix()
            found.append(FinishedRun(id=run_id, folder=folder, facts=facts))
    return found


def chosen_runs(runs: Sequence[FinishedRun], ids: Sequence[str]) -> list[FinishedRun]:
    """Those of `runs` called `ids`; raises FormatError where one is none of them."""
    known = {run.id: run for run in runs}
    for each in ids:
        if each not in known:
            raise FormatError(f"'{str(each)[:80]}' is no finished run here; look at the list again.")
    return [known[each] for each in dict.fromkeys(ids)]


def on_the_split_of(runs: Sequence[FinishedRun], first: FinishedRun) -> list[FinishedRun]:
    """`first`, and what can be compared with it: of every setting the newest run on the same split."""
    found, old = {first.facts.setting: first}, first.facts.old
    for run in runs:
        if run.facts.split == first.facts.split and (old is None or run.facts.old in (None, old)):
            found.setdefault(run.facts.setting, run)
            old = old if old is not None else run.facts.old
    return list(found.values())


def _run_folders(root: Path) -> Iterator[Path]:
    """The folders below `root` that hold a record; nothing below such a folder is looked at."""
    for folder, names, files in os.walk(root):
        if RECORD_FILE in files:
            yield Path(folder)
            names.clear()
        names[:] = [name for name in names if name not in PASSED_BY and not name.startswith(".")]


def _changed(folder: Path) -> int:
    try:
        return (folder / RECORD_FILE).stat().st_mtime_ns
    except OSError:  # removed since
        return 0


@lru_cache(maxsize=2 * MOST_RUNS)
def _facts(file: str, changed: int) -> RunFacts | None:
    """Of a record as it was at the time `changed`; None where it cannot be read."""
    try:
        record = RunRecord.load(file)
    except FormatError:
        return None
    plan = record.plan
    shots = getattr(plan.approach, "shots", None)
    return RunFacts(
        method=plan.method + (f" ({shots} shots)" if shots else ""),
        model=short_model_name(plan.model.name) if plan.model else "",
        rows=record.data.rows["train"],
        seed=plan.seed,
        data=last_part(plan.data.path),
        accuracy=accuracy(record.test.labels, record.test.predictions),
        finished=record.finished[:16].replace("T", " "),
        task=record.task,
        split=split_of(record),
        old=_old(record),
        setting=repr((plan.approach, plan.protection, plan.model, record.data.rows["train"], plan.seed)),
        remote=plan.model is not None and plan.model.remote is not None,
        started_from=(record.model.weights_digest or "") if record.model else "",
    )


def _old(record: RunRecord) -> str | None:
    if isinstance(record.plan.approach, (*CONTROLS, Scratch)):
        return None
    old, text = record.old, record.old_text
    return repr((old and sorted(old.data.hashes.items()), text and (text.measure, text.digest)))
