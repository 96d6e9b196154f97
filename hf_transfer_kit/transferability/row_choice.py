"""Which rows a ranking looks at: different training rows of every class; and other inputs, without their labels."""

import hashlib

import numpy as np
from datasets import Dataset, Value

from hf_transfer_kit.data.labelled import LabelledData, subset_rows
from hf_transfer_kit.data.sources import read_source
from hf_transfer_kit.data.split import stratified_order
from hf_transfer_kit.errors import DataError, did_you_mean
from hf_transfer_kit.plan import DataSpec
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.transferability.candidate_features import RankedRows, ranked_rows
from hf_transfer_kit.transferability.leakage import first_of_each_copy

FEWEST = 8


def training_rows(
    loaded: LabelledData, data: DataSpec | LabelledData, max_rows: int, max_length: int, seed: int
) -> RankedRows:
    """At most `max_rows` different training rows, a stratified draw, of the subset that `data` names.

    Raises:
        DataError: fewer than 8 different rows, one class alone, or no class of two rows: nothing can be left out.
    """
    train_size = data.train_size if isinstance(data, DataSpec) else None
    length = data.max_length if isinstance(data, DataSpec) else max_length
    positions = subset_rows(loaded, train_size, seed)["train"]
    if len(positions) > 4 * max_rows:  # reading every image for its key would take longer than the rest
        positions = _draw(loaded, positions, 4 * max_rows, seed)
    positions = _draw(loaded, first_of_each_copy(loaded, positions), max_rows, seed)
    origin = loaded.origins["train"]
    if len(positions) < FEWEST:
        raise DataError(f"{origin} has {len(positions)} different training rows; a ranking needs {FEWEST} or more.")
    rows = ranked_rows(loaded, positions, length)
    if rows.n_classes < 2:
        raise DataError(f"{origin} has, copies left out, training rows of one class alone; there is nothing to tell.")
    if rows.alone == len(positions):
        raise DataError(
            f"{origin} has one training row of each class; every row is answered by the others, so give two or more "
            "of each class."
        )
    return rows


def other_rows(other: DataSpec, like: LabelledData, max_length: int, max_rows: int, seed: int) -> RankedRows:
    """At most `max_rows` inputs of the first part of `other`, of the kind of `like`'s; no labels are needed.

    Raises:
        DataError: there is no such column, or no input that can be used.
    """
    part, task = read_source(other.path, other.config, other.revision).parts[0], get_task(like.task)
    inputs = _inputs(part.rows, _input_column(part.rows, other.input_column, like, part.origin))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(inputs))[:max_rows])
    values = inputs.select(chosen)["input"][:]
    usable = [value for value in values if task.problem(value) is None]
    if not usable:
        raise DataError(f"{part.origin}: none of the {task.input_noun}s looked at can be used.")
    return RankedRows(
        task=task, positions=np.arange(len(usable)), inputs=usable, labels=np.zeros(len(usable), dtype=np.int64),
        digest=hashlib.sha256(b"".join(hashlib.sha256(task.digest(value)).digest() for value in usable)).hexdigest(),
        max_length=max_length,
    )  # fmt: skip


def _draw(loaded: LabelledData, positions: np.ndarray, count: int, seed: int) -> np.ndarray:
    labels = np.asarray(loaded.train["label"][:])[positions]
    drawn: np.ndarray = np.sort(positions[stratified_order(labels.tolist(), seed)[:count]])
    return drawn


def _input_column(rows: Dataset, named: str | None, like: LabelledData, origin: str) -> str:
    """The column that is named, else that of the same name as in `like`, else the likeliest one."""
    task, features = get_task(like.task), rows.features
    if named is not None and named not in features:
        raise DataError(f"{origin} has no column '{named}' (--input-column); {did_you_mean(named, features)}")
    fitting = [name for name in task.input_columns(features) if named in (None, name)]
    images = any(type(kind).__name__ == "Image" for kind in features.values())
    if not fitting or (named is None and images and isinstance(features[fitting[0]], Value)):  # names of pictures
        raise DataError(f"{origin} holds no {task.input_noun}s to compare with those of {like.origins['train']}.")
    return like.input_column if like.input_column in fitting else fitting[0]


def _inputs(rows: Dataset, column: str) -> Dataset:
    inputs = rows.select_columns([column]).rename_column(column, "input")
    if isinstance(inputs.features["input"], Value) and inputs.features["input"].dtype != "string":
        inputs = inputs.cast_column("input", Value("string"))
    return inputs
