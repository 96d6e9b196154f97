"""Test inputs that stand in the training part too, as copies or near copies; found without looking at a label."""

from collections import defaultdict

import numpy as np
from datasets import Dataset

from hf_transfer_kit.checking.copies import KeyedPart, find_copies, near_keys
from hf_transfer_kit.data.labelled import LabelledData
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.tasks.task import Task


def leaked_test_rows(data: LabelledData) -> tuple[int, ...]:
    """Positions in the test part of inputs that the training part holds too, ascending; labels are not read.

    Example:
        >>> from hf_transfer_kit import DataSpec, load_data
        >>> leaked_test_rows(load_data(DataSpec(path="reviews.csv")))
        (17, 120)
    """
    task = get_task(data.task)
    train, test = (_unlabelled(part, data.part(part), task) for part in ("train", "test"))
    near = near_keys([test], [train], task, _read)
    return tuple(copy.row for copy in find_copies(test, train, near))


def first_of_each_copy(data: LabelledData, positions: np.ndarray) -> np.ndarray:
    """`positions` of the training part without those whose input is an exact copy of an earlier one.

    A row that is left out but has a twin in the data is answered by its twin, which flatters every estimator.
    """
    part = _unlabelled("train", data.train.select(positions), get_task(data.task))
    kept: np.ndarray = positions[sorted(rows[0] for rows in part.rows_of.values())]
    return kept


def _unlabelled(name: str, rows: Dataset, task: Task) -> KeyedPart:
    inputs = rows.select_columns(["input"])
    rows_of = defaultdict(list)
    keys = [task.key(value) for value in inputs["input"]]
    for row, key in enumerate(keys):
        rows_of[key].append(row)
    return KeyedPart(name=name, rows=inputs, labels=[0] * len(keys), keys=keys, rows_of=dict(rows_of))


def _read() -> None:
    """Nothing to count."""
