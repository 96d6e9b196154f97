"""What a baseline found: the table, the classes one by one, and the answers that were wrong."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_transfer_kit.app.data.look import shown
from hf_transfer_kit.app.data.pictures import in_a_row, picture
from hf_transfer_kit.app.markup import card, escape, items, note, section, table
from hf_transfer_kit.comparison.arms import Arm, group
from hf_transfer_kit.comparison.per_class import per_class
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.reporting.columns import Table
from hf_transfer_kit.reporting.tables import tables

MOST_WRONG, MOST_CLASSES = 20, 200
UNFOLDED = ("Quality",)  # tables that are seen at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A test item with a wrong answer, and how sure the model was of it."""

    input: Any
    right: str
    answered: str
    confidence: float


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


def verdict_card(
    comparison: Comparison, say: Callable[[str], str] = str, unfolded: Collection[str] = UNFOLDED
) -> str:  # fmt: skip
    """Verdict, warnings and tables as HTML.

    Args:
        say: puts a sentence into the words of the page.
        unfolded: titles of the tables to be seen at once.
    """
    found = tables(comparison)
    open_tables = "".join(_table(each, comparison.recommended) for each in found if each.title in unfolded)
    folded = "".join(_table(each, comparison.recommended) for each in found if each.title not in unfolded)
    meanings = {column.head: column.meaning for each in found for column in each.columns if column.meaning}
    return card(
        note(say(comparison.verdict), "good")
        + "".join(f"<p>{escape(say(each))}</p>" for each in (comparison.prompting, comparison.next_step) if each)
        + "".join(note(say(each), "warning") for each in comparison.warnings)
        + "".join(note(f"{each.run}: {say(each.message)}", "error") for each in comparison.failures)
        + open_tables
        + section("More tables", folded, folded=True)
        + section("What the columns mean", items(f"{head}: {text}" for head, text in meanings.items()), folded=True)
    )


def answers_card(record: RunRecord, inputs: Sequence[Any]) -> str:
    """The classes of one run, its wrong answers and its prompt, as HTML.

    Args:
        inputs: of the test part, in its order; empty where the data is no longer there.
    """
    scores = per_class(record)
    classes = [
        [each.label, str(each.count), _share(each.recall), _share(each.precision), _share(each.f1)]
        for each in scores[:MOST_CLASSES]
    ]
    return card(
        _wrong(record, inputs)
        + section("Class by class, the worst first", table(["class", "items", "recall", "precision", "F1"], classes))
        + section("The prompt file it was asked with", _prompt(record), folded=True)
    )


def _wrong(record: RunRecord, inputs: Sequence[Any]) -> str:
    count = int(np.sum(np.not_equal(record.test.labels, record.test.predictions)))
    title = f"Wrong answers: {count} of {len(record.test.labels)}"
    if len(inputs) != len(record.test.labels):
        return section(title, note("The data is no longer here, or has changed, so its texts cannot be shown."))
    wrong = wrong_answers(record, inputs)
    if wrong and not isinstance(wrong[0].input, str):
        inside = in_a_row(picture(each.input, f"{each.right}, not {each.answered}") for each in wrong)
    elif wrong:
        answers = [[shown(each.input), each.right, each.answered, f"{each.confidence:.2f}"] for each in wrong]
        inside = table(["input", "right", "answered", "how sure"], answers)
    else:
        inside = "<p>None.</p>"
    return section(f"{title}, the surest first", inside)


def _prompt(record: RunRecord) -> str:
    text = record.details.get("prompt_text")
    return f"<pre>{escape(text)}</pre>" if isinstance(text, str) and text else ""


def _answer(record: RunRecord, number: int) -> str:
    return record.label_names[number] if number >= 0 else "unreadable"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(found: Table, marked: str) -> str:
    heads = [column.head for column in found.columns]
    below = f'<p class="tk-quiet">{escape(found.note)}</p>' if found.note else ""
    return section(found.title, table(heads, found.rows, marked=marked) + below)
