"""Which column is the input and which the label: from the options, else from usual names, else from the values."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow
import pyarrow.compute
from datasets import ClassLabel, Dataset, Features, Value

from hf_transfer_kit.errors import DataError, did_you_mean
from hf_transfer_kit.plan import DataSpec
from hf_transfer_kit.tasks import TASKS, get_task
from hf_transfer_kit.tasks.task import Task

# The finer name first where a data set has two: "fine_label" before "coarse_label", "intent" before "domain".
USUAL_LABEL_COLUMNS = (
    "label", "labels", "intent", "category", "class", "class_name", "target", "fine_label", "coarse_label", "topic",
    "sentiment", "emotion", "genre", "stars", "rating", "domain", "y",
)  # fmt: skip
CLEARLY_LONGER = 1.5  # times as many characters a row as the next column: then it is the text


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What a data set is learned from: task, names of two columns, and how they were chosen, in sentences."""

    task: Task
    input: str
    label: str
    notes: tuple[str, ...]


def find_columns(rows: Dataset, spec: DataSpec, origin: str) -> Columns:
    """The input and label columns of `rows`.

    Args:
        origin: name of the rows for messages: "train.csv".

    Raises:
        DataError: an option names no column, no column fits, or several fit equally well.
        PlanError: `spec.task` is unknown.

    Example:
        >>> rows = Dataset.from_dict({"text": ["hi", "bye"], "intent": ["greet", "leave"]})
        >>> columns = find_columns(rows, DataSpec(path="intents.csv"), "intents.csv")
        >>> columns.input, columns.label
        ('text', 'intent')
    """
    for name, option in ((spec.input_column, "--input-column"), (spec.label_column, "--label-column")):
        if name is not None and name not in rows.column_names:
            raise DataError(f"{origin} has no column '{name}' ({option}); {did_you_mean(name, rows.column_names)}")
    if spec.input_column is not None and spec.input_column == spec.label_column:
        raise DataError(f"{origin}: column '{spec.input_column}' cannot be input and label at once; name two columns.")
    label, other_labels = _find_label(rows, spec, origin)
    task, input_column, other_inputs = _find_input(rows, spec, label, origin)
    notes = [f"{task.name}, columns: {input_column} -> {label}"]
    if other_labels:
        notes.append(f"the label could also be {_quoted(other_labels)} (--label-column)")
    if other_inputs:
        notes.append(f"the input could also be {_quoted(other_inputs)} (--input-column, --task)")
    return Columns(task=task, input=input_column, label=label, notes=tuple(notes))


def _find_label(rows: Dataset, spec: DataSpec, origin: str) -> tuple[str, list[str]]:
    """The label column, and the others that could have been it."""
    if spec.label_column is not None:
        _check_label(rows.features, spec.label_column, origin)
        return spec.label_column, []
    free = [name for name in rows.column_names if name != spec.input_column]
    rank = {name: i for i, name in enumerate(USUAL_LABEL_COLUMNS)}
    usual = sorted((name for name in free if name.lower() in rank), key=lambda name: rank[name.lower()])
    typed = [name for name in free if isinstance(rows.features[name], ClassLabel)]
    if likely := [*usual, *(name for name in typed if name not in usual)]:
        fitting = [name for name in likely if _can_be_label(rows.features, name)]
        if not fitting:
            _check_label(rows.features, likely[0], origin)
        return fitting[0], fitting[1:]
    repeating = _repeating(rows, free)
    if len(repeating) == 1:
        return repeating[0], []
    reason = f"{_quoted(repeating)} could all be" if repeating else "no column has few, repeated values to be"
    raise DataError(f"{origin}: {reason} the label; name it with --label-column. {_all_columns(rows)}")


def _check_label(features: Features, name: str, origin: str) -> None:
    if not _can_be_label(features, name):
        raise DataError(
            f"{origin}: column '{name}' holds {_kind(features, name)}, and a label is one word or number a row; "
            "name another column with --label-column."
        )


def _can_be_label(features: Features, name: str) -> bool:
    kind = features[name]
    return isinstance(kind, ClassLabel) or (isinstance(kind, Value) and not kind.dtype.endswith("binary"))


def _repeating(rows: Dataset, names: Sequence[str]) -> list[str]:
    """Columns of words, whole numbers or booleans, mostly filled, with two values or more and two rows a value."""
    plain = [
        name
        for name in names
        if isinstance(rows.features[name], Value)
        and rows.features[name].dtype.startswith(("string", "large_string", "int", "uint", "bool"))
        and not any(_is_usual_input(name, task) for task in TASKS.values())
    ]
    if not plain:
        return []
    table = rows.select_columns(plain).with_format("arrow")[:]
    distinct = {name: pyarrow.compute.count_distinct(table[name]).as_py() for name in plain}
    return [name for name in plain if 2 <= distinct[name] <= len(rows) / 2 and _filled(table[name]) > len(rows) / 2]


def _filled(column: pyarrow.ChunkedArray) -> int:
    """How many values are neither null nor the empty string."""
    return sum(value not in (None, "") for value in column.to_pylist())


def _find_input(rows: Dataset, spec: DataSpec, label: str, origin: str) -> tuple[Task, str, list[str]]:
    """(task, its input column, the other columns that could have been it)."""
    names = [spec.input_column] if spec.input_column else [name for name in rows.column_names if name != label]
    features = Features({name: rows.features[name] for name in names})
    tasks = [get_task(spec.task)] if spec.task else list(TASKS.values())
    fitting = {task.name: columns for task in tasks if (columns := task.input_columns(features))}
    if not fitting:
        wanted = " or ".join(f"{task.input_noun}s ({task.name})" for task in tasks)
        if spec.input_column:
            found = f"column '{spec.input_column}' holds {_kind(features, spec.input_column)}"
        else:
            found = "no column beside the label holds it"
        raise DataError(f"{origin}: the input must be {wanted}, and {found}. {_all_columns(rows)}")
    # Strings also are names and remarks about a row, so another kind of input, where there is one, wins.
    special = [name for name, columns in fitting.items() if not isinstance(features[columns[0]], Value)]
    task = get_task(special[0] if special else next(iter(fitting)))
    candidates = fitting.pop(task.name)
    if len(candidates) > 1 and not _is_usual_input(candidates[0], task):
        candidates = _longest_first(rows, candidates, origin)
    others = [*candidates[1:], *(name for columns in fitting.values() for name in columns)]
    return task, candidates[0], [name for name in others if any(_is_usual_input(name, kind) for kind in tasks)]


def _is_usual_input(name: str, task: Task) -> bool:
    return name.lower() in task.usual_input_columns


def _longest_first(rows: Dataset, names: Sequence[str], origin: str) -> list[str]:
    """Columns of text by their mean length; raises DataError where the first is not clearly the longest."""
    if not all(isinstance(rows.features[name], Value) for name in names):
        raise DataError(f"{origin}: {_quoted(names)} could all be the input; name one with --input-column.")
    table = rows.select_columns(list(names)).with_format("arrow")[:]
    length = {name: pyarrow.compute.mean(pyarrow.compute.utf8_length(table[name])).as_py() or 0.0 for name in names}
    ordered = sorted(names, key=lambda name: -length[name])
    if length[ordered[0]] < CLEARLY_LONGER * length[ordered[1]]:
        raise DataError(
            f"{origin}: {_quoted(ordered[:2])} could both be the input; name one with --input-column. "
            f"{_all_columns(rows)}"
        )
    return ordered


def _kind(features: Features, name: str) -> str:
    """The values of a column in plain words."""
    kind = features[name]
    if isinstance(kind, ClassLabel):
        return "class labels"
    if isinstance(kind, Value):
        return "text" if "string" in kind.dtype else f"numbers ({kind.dtype})" if kind.dtype != "bool" else "booleans"
    return "images" if type(kind).__name__ == "Image" else "lists or objects"


def _all_columns(rows: Dataset) -> str:
    return "Columns: " + ", ".join(f"{name} ({_kind(rows.features, name)})" for name in rows.column_names) + "."


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
