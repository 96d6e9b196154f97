"""Runs that are finished, below a folder: found by their records, named by ids, compared where they may be."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.records import RunRecord

MOST_RUNS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run with a record.

    Fields:
        id: its place below the folder of all runs; nothing else is taken from a browser.
        record: what it measured.
    """

    id: str
    record: RunRecord

    @property
    def title(self) -> str:
        """For people: method, model, data, accuracy."""
        record = self.record
        model = "" if record.plan.model is None else f" · {record.plan.model.name.rpartition('/')[2]}"
        shots = getattr(record.plan.approach, "shots", None)
        method = record.plan.method + (f" ({shots} shots)" if shots else "")
        data = record.plan.data.path.rstrip("/").rpartition("/")[2]
        reached = accuracy(record.test.labels, record.test.predictions)
        return f"{method}{model} · {data} · {reached:.3f} · {record.finished[:16].replace('T', ' ')}"


def finished_runs(folder: Path) -> list[FinishedRun]:
    """The runs below `folder`, the newest first, 200 at most; records that cannot be read are left out."""
    files = sorted(folder.glob("**/record.json"), key=lambda file: -file.stat().st_mtime)[:MOST_RUNS]
    found = []
    for file in files:
        try:
            found.append(FinishedRun(id=file.parent.relative_to(folder).as_posix(), record=RunRecord.load(file)))
        except FormatError:
            continue
    return found


def chosen_runs(folder: Path, ids: Sequence[str]) -> list[FinishedRun]:
    """The runs called `ids`; raises FormatError where one is none of `finished_runs`."""
    known = {run.id: run for run in finished_runs(folder)}
    for each in ids:
        if each not in known:
            raise FormatError(f"'{each[:80]}' is no finished run here; look at the list again.")
    return [known[each] for each in dict.fromkeys(ids)]


def compare_runs(runs: Sequence[FinishedRun]) -> Comparison:
    """What the runs say about each other.

    Raises:
        FormatError: fewer than two, or not of one data set and one split; the message says what differs.
    """
    if len(runs) < 2:
        raise FormatError("choose two runs or more to compare.")
    return compare([run.record for run in runs])


def weights_hash(folder: Path, run: FinishedRun) -> str:
    """12 hexadecimal digits of what answers: weights, or the prompt with its examples; "" where nothing was saved."""
    files = sorted(file for file in (folder / run.id / "model").rglob("*") if file.is_file())
    total = hashlib.sha256()
    for file in files:
        with open(file, "rb") as opened:
            total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()[:12] if files else ""
