"""What a finished run reached, in a few lines; the Compare tab has the rest."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from hf_transfer_kit.app.markup import card, note
from hf_transfer_kit.comparison.estimate import Estimate, accuracy_of
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.launch.job import RECORD_FILE
from hf_transfer_kit.metrics import bootstrap_accuracies
from hf_transfer_kit.records import OldSkill, RunRecord
from hf_transfer_kit.reporting import quantities


def result_card(folder: Path) -> str:
    """Accuracy with its interval, time and size of the finished run in `folder`, as HTML; "" without a record."""
    path = folder / RECORD_FILE
    if not path.exists():
        return ""
    return _card(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _card(path: Path, changed: int) -> str:
    """Kept, for every page that is opened asks."""
    try:
        record = RunRecord.load(path)
    except FormatError as error:
        return note(str(error), "error")
    reached, items = reached_by(record.test.labels, record.test.predictions), len(record.test.labels)
    kept = quantities.mebibytes(record.cost.disk_mib)
    facts = [
        ("Test accuracy", _value(reached), f"95% interval {_interval(reached)}, {items} items"),
        ("Training", quantities.seconds(record.cost.train_seconds), _memory(record.cost.peak_memory_mib)),
        ("One answer", f"{record.cost.ms_per_prediction:.3g} ms", f"{kept} on disk"),
    ]  # fmt: skip
    if record.validation_accuracy is not None:
        facts.append(("Validation", quantities.accuracy(record.validation_accuracy), "what choices were made on"))
    if record.old is not None:
        facts.append(_old_fact(record.old))
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}</dd><dd>{more}</dd></div>" for name, value, more in facts)
    return card(f'<dl class="tk-facts">{shown}</dl>')


def reached_by(labels: tuple[int, ...], predictions: tuple[int, ...]) -> Estimate:
    """The share of right answers, with its 95% interval over test items.

    Example:
        >>> reached_by((0, 1, 1, 0), (0, 1, 1, 1)).value
        0.75
    """
    correct = np.array([labels]) == np.array([predictions])
    return accuracy_of(correct, bootstrap_accuracies([correct])[0])


def _value(found: Estimate) -> str:
    return quantities.accuracy(found.value, found.half_width)


def _interval(found: Estimate) -> str:
    low, high = (quantities.accuracy(each, found.half_width) for each in (found.low, found.high))
    return f"{low} to {high}"


def _memory(mib: float) -> str:
    return f"{quantities.mebibytes(mib)} of memory"


def _old_fact(old: OldSkill) -> tuple[str, str, str]:
    """How much of the older data is still known, among its own labels."""
    before, after = (
        quantities.accuracy(reached_by(old.labels, answers).value)
        for answers in (old.before_among_old, old.after_among_old)
    )
    return "On the older data", f"{before} → {after}", "before and after"
