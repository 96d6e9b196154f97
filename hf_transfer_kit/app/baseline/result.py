"""What a baseline found: the table, the classes one by one, and the answers that were wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_transfer_kit.app.data.chosen import shown
from hf_transfer_kit.app.markup import card, escape, note, section, table
from hf_transfer_kit.comparison.arms import Arm, group
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.reporting.columns import Table
from hf_transfer_kit.reporting.tables import tables

MOST_WRONG, MOST_CLASSES = 20, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How one class is answered: its test items, and recall, precision and F1 in [0, 1]; None where undefined."""

    label: str
    count: int
    recall: float | None
    precision: float | None
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A test item with a wrong answer, and how sure the model was of it."""

    input: Any
    right: str
    answered: str
    confidence: float


def per_class(record: RunRecord) -> list[ClassScore]:
    """Of every class with test items, the worst F1 first."""
    labels, answers = np.array(record.test.labels), np.array(record.test.predictions)
    found = []
    for number, name in enumerate(record.label_names):
        count, said = int(np.sum(labels == number)), int(np.sum(answers == number))
        right = int(np.sum((labels == number) & (answers == number)))
        if count:
            found.append(
                ClassScore(
                    label=name, count=count, recall=right / count, precision=right / said if said else None,
                    f1=2 * right / (count + said),
                )
            )  # fmt: skip
    return sorted(found, key=lambda each: each.f1)


def wrong_answers(record: RunRecord, inputs: Sequence[Any], most: int = MOST_WRONG) -> list[Wrong]:
    """The surest wrong answers of a run to `inputs`, those of the test part."""
    rows = zip(record.test.labels, record.test.predictions, record.test.confidence, inputs, strict=True)
    found = [
        Wrong(input=each, right=record.label_names[label], answered=_answer(record, said), confidence=sure)
        for label, said, sure, each in rows
        if label != said
    ]
    return sorted(found, key=lambda each: -each.confidence)[:most]


def arms_in(folder: Path) -> dict[str, Arm]:
    """The arms of the runs that are finished in a study's folder, by name, controls last."""
    records = [RunRecord.load(file) for file in sorted(folder.glob("runs/**/record.json"))]
    arms = group(records)
    return {arm.name: arm for arm in sorted(arms, key=lambda arm: arm.model is None)}


def verdict_card(comparison: Comparison) -> str:
    """Verdict, warnings and tables as HTML."""
    found = tables(comparison)
    first, rest = found[0], found[1:]
    return card(
        note(comparison.verdict, "good")
        + "".join(f"<p>{escape(each)}</p>" for each in (comparison.prompting, comparison.next_step) if each)
        + "".join(note(each, "warning") for each in comparison.warnings)
        + "".join(note(f"{each.run}: {each.message}", "error") for each in comparison.failures)
        + _table(first, comparison.recommended)
        + section("More tables", "".join(_table(each, comparison.recommended) for each in rest), folded=True)
    )


def answers_card(record: RunRecord, inputs: Sequence[Any]) -> str:
    """The classes of one run, and its wrong answers, as HTML."""
    scores, wrong = per_class(record), wrong_answers(record, inputs)
    classes = [
        [each.label, str(each.count), _share(each.recall), _share(each.precision), _share(each.f1)]
        for each in scores[:MOST_CLASSES]
    ]
    answers = [[shown(each.input), each.right, each.answered, f"{each.confidence:.2f}"] for each in wrong]
    count = int(np.sum(np.not_equal(record.test.labels, record.test.predictions)))
    title = f"Wrong answers: {count} of {len(record.test.labels)}, the surest first"
    return card(
        section(title, table(["input", "right", "answered", "how sure"], answers) if answers else "<p>None.</p>")
        + section("Class by class, the worst first", table(["class", "items", "recall", "precision", "F1"], classes))
    )


def _answer(record: RunRecord, number: int) -> str:
    return record.label_names[number] if number >= 0 else "unreadable"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(found: Table, marked: str) -> str:
    heads = [column.head for column in found.columns]
    below = f'<p class="tk-quiet">{escape(found.note)}</p>' if found.note else ""
    return section(found.title, table(heads, found.rows, marked=marked) + below)
