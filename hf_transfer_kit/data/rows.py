"""Every row is looked at before anything trains: inputs that cannot be used and labels that are missing."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Value
from numpy.typing import NDArray

from hf_transfer_kit.data.columns import Columns
from hf_transfer_kit.data.sources import Part
from hf_transfer_kit.errors import DataError, did_you_mean
from hf_transfer_kit.tasks.task import Task

CHUNK = 256  # rows checked at once by one thread


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledPart:
    """One part of the data: inputs, and names of their labels.

    Fields:
        split: "train", "validation" or "test".
        origin: where the rows stand, for messages: "train.csv".
        inputs: all rows of the origin, in one column, `input`.
        labels: name of the label of each of them; None where it is missing.
        rows: numbers of the rows in use, ascending.
        class_names: in the order of the source's own numbering, if it has one.
    """

    split: str
    origin: str
    inputs: Dataset
    labels: list[str | None]
    rows: NDArray[np.int64]
    class_names: tuple[str, ...] | None = None

    def used_labels(self) -> list[str]:
        """Name of the label of each row in use."""
        return [str(self.labels[row]) for row in self.rows]

    def keep(self, rows: NDArray[np.int64]) -> "LabelledPart":
        """The same part with only `rows` (numbers in the origin) in use."""
        return replace(self, rows=rows)


def usable_parts(parts: Sequence[Part], columns: Columns, drop_empty: bool, notes: list[str]) -> list[LabelledPart]:
    """The parts with their two columns and the rows that can be learned from; what is left out is added to `notes`.

    A validation or test part without any label (as published for competitions) is left out as a whole.

    Raises:
        DataError: a part lacks the input column, or a row cannot be used and `drop_empty` is off.
    """
    usable = []
    for part in parts:
        has_label = columns.label in part.rows.column_names
        labels = _label_texts(part.rows, columns.label) if has_label else []
        if part.split != "train" and not any(label is not None for label in labels):
            notes.append(f"{part.origin} has no labels in '{columns.label}' and is left out")
        else:
            usable.append(_usable_rows(part, labels, columns, drop_empty, notes))
    return usable


def _label_texts(rows: Dataset, column: str) -> list[str | None]:
    """Labels by name; None where one is missing: null, NaN, empty, "nan", or -1 in a numbered column."""
    kind = rows.features[column]
    values = rows[column][:]
    if isinstance(kind, ClassLabel):
        return [kind.int2str(value) if value is not None and value >= 0 else None for value in values]
    return [_label_text(value) for value in values]


def _label_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return None if math.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    text = "" if value is None else str(value).strip()
    return None if text in ("", "nan", "NaN") else text


def _usable_rows(
    part: Part, labels: list[str | None], columns: Columns, drop_empty: bool, notes: list[str]
) -> LabelledPart:
    if columns.input not in part.rows.column_names:
        way_out = did_you_mean(columns.input, part.rows.column_names)
        raise DataError(f"{part.origin} has no column '{columns.input}', which the train part has; {way_out}")
    inputs = part.rows.select_columns([columns.input]).rename_column(columns.input, "input")
    if isinstance(inputs.features["input"], Value) and inputs.features["input"].dtype != "string":
        inputs = inputs.cast_column("input", Value("string"))
    problems = _problems(inputs, columns.task)
    noun = columns.task.input_noun
    bad_inputs = [f"row {row + 1}{_shown(inputs, row, columns.task)} {text}" for row, text in problems.items()]
    unlabelled = [row for row, label in enumerate(labels) if label is None]
    bad_labels = [f"row {row + 1}" for row in unlabelled]
    for what, bad in ((f"{noun}s cannot be used", bad_inputs), ("labels are missing", bad_labels)):
        if not bad:
            continue
        found = f"{part.origin}: {len(bad)} of {len(inputs)} {what}: {_first(bad)}"
        if not drop_empty:
            raise DataError(f"{found}; correct them, or leave such rows out with --drop-empty.")
        notes.append(f"{found}; left out")
    rows = np.setdiff1d(np.arange(len(inputs)), [*problems, *unlabelled])
    if not len(rows):
        raise DataError(f"{part.origin}: no row is left that has both {noun} and label; add examples.")
    kind = part.rows.features[columns.label]
    names = tuple(kind.names) if isinstance(kind, ClassLabel) else None
    return LabelledPart(
        split=part.split, origin=part.origin, inputs=inputs, labels=labels, rows=rows, class_names=names
    )


def _problems(inputs: Dataset, task: Task) -> dict[int, str]:
    """What is wrong with which row; images are decoded in threads, which Pillow allows to run side by side."""

    def check(start: int) -> list[str | None]:
        return [task.problem(value) for value in inputs[start : start + CHUNK]["input"]]

    starts = range(0, len(inputs), CHUNK)
    with ThreadPoolExecutor() as pool:
        found = [problem for chunk in pool.map(check, starts) for problem in chunk]
    return {row: problem for row, problem in enumerate(found) if problem is not None}


def _shown(inputs: Dataset, row: int, task: Task) -> str:
    """The input in brackets, where there is something to show."""
    text = task.show(inputs[row]["input"])
    return f" ({text})" if text else ""


def _first(items: Sequence[str]) -> str:
    return ", ".join(items[:3]) + (", ..." if len(items) > 3 else "")
