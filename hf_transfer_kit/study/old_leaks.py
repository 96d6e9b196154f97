"""Rows that stand in the new data and in the old: a model that learned the old data knows some answers already.

Copies and near copies are those of the checks (checking/copies).
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from hf_transfer_kit.findings import CheckReport, Finding
from hf_transfer_kit.reporting.quantities import whole

if TYPE_CHECKING:
    from hf_transfer_kit.checking.copies import Copy
    from hf_transfer_kit.data.labelled import LabelledData

EXAMPLES = 3  # most that one finding shows


def with_old_leaks(report: CheckReport, new: "LabelledData", old: "LabelledData") -> CheckReport:
    """`report` on the new data, with what it shares with the old.

    Rows of the new test part that stand in the old training part are leaked: every approach starts from a model that
    has learned them. Old test rows in the new training part make forgetting look smaller.

    Args:
        new, old: of one task.
    """
    leaked, flattering = _copies(new, "test", old, "train"), _copies(old, "test", new, "train")
    from_memory = "of old training rows; a model that learned those can answer from memory there."
    smaller = "of new training rows; forgetting looks smaller there than it is."
    findings = [
        *_finding("leaked_old", leaked, f"{_are(leaked, new)} {from_memory}", new),
        *_finding("old_test_in_training", flattering, f"{_are(flattering, old, 'old ')} {smaller}", old),
    ]
    rows = {*report.leaked_test_rows, *(copy.row for copy in leaked)}
    return replace(report, findings=(*report.findings, *findings), leaked_test_rows=tuple(sorted(rows)))


def _copies(data: "LabelledData", part: str, other: "LabelledData", other_part: str) -> "list[Copy]":
    """Rows of a part of `data` that have a copy or a near copy in a part of `other`."""
    from hf_transfer_kit.checking.copies import find_copies, keyed_part, near_keys
    from hf_transfer_kit.tasks import get_task

    task = get_task(data.task)
    here = keyed_part(part, data.part(part), task, lambda: None)
    there = keyed_part(other_part, other.part(other_part), task, lambda: None)
    return find_copies(here, there, near_keys([here], [there], task, lambda: None))


def _are(copies: "list[Copy]", data: "LabelledData", which: str = "") -> str:
    copies_are = "is a copy or near copy" if len(copies) == 1 else "are copies or near copies"
    return f"{whole(len(copies))} of {whole(len(data.test))} {which}test rows {copies_are}"


def _finding(kind: str, copies: "list[Copy]", message: str, data: "LabelledData") -> list[Finding]:
    from hf_transfer_kit.tasks import get_task

    if not copies:
        return []
    task, rows = get_task(data.task), tuple(copy.row for copy in copies)
    examples = tuple(f'"{task.show(data.test[row]["input"])}"' for row in rows[:EXAMPLES])
    return [Finding(kind=kind, severity="warning", count=len(rows), message=message, examples=examples, rows=rows)]
