"""From what `--data` names to labelled train, validation and test rows; what cannot be learned from is refused here.

    data = load_data(DataSpec(path="reviews.csv"))
    data.train[0]        # {"input": "good", "label": 1}
    data.label_names     # ("negative", "positive")
    data.notes           # ("columns: review -> sentiment", "no test part: 20 % of reviews.csv split off, ...")

In order: read the parts (sources, files, hub), choose the columns (columns), check every row (rows) and the classes
(labels), split off the parts that are missing (split), hash the result.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import datasets
import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from hf_transfer_kit.data.columns import find_columns
from hf_transfer_kit.data.labels import drop_rare_classes, label_names_of, label_numbers
from hf_transfer_kit.data.rows import LabelledPart, usable_parts
from hf_transfer_kit.data.sources import read_source
from hf_transfer_kit.data.split import stratified_order, stratified_split
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import DataSpec
from hf_transfer_kit.tasks import get_task

ROWS_IN_MEMORY = 256  # inputs held at once while hashing


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledData:
    """Labelled rows in three parts; each has the columns `input` (text or undecoded image) and `label` (int64).

    Fields:
        task: "text-classification" or "image-classification".
        label_names: name of each label, by its number.
        input_column, label_column: their names in the source.
        hashes: of each part, SHA-256 in hexadecimal over inputs and label names in their order.
        origins: of each part, where its rows stand in the source: "train.csv".
        source_rows: of each part, the number of each row in its origin, counted from 0.
        notes: what was decided while loading, one sentence each.
    """

    task: str
    label_names: tuple[str, ...]
    train: Dataset
    validation: Dataset
    test: Dataset
    input_column: str
    label_column: str
    hashes: Mapping[str, str]
    origins: Mapping[str, str]
    source_rows: Mapping[str, NDArray[np.int64]]
    notes: tuple[str, ...] = ()

    def part(self, split: str) -> Dataset:
        """The rows of "train", "validation" or "test"."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    def where(self, split: str, row: int) -> str:
        """Place of a row in the source, counted from 1 and without a header: "row 17 of train.csv"."""
        return f"row {int(self.source_rows[split][row]) + 1} of {self.origins[split]}"


def load_data(spec: DataSpec, after: Sequence[str] = ()) -> LabelledData:
    """The data that `spec` names, checked, labelled and split; `spec.train_size` is left to `subset_rows`.

    Rows keep the order of their source. Where a test or validation part is missing, `test_share` or `validation_share`
    of the train rows is split off, stratified by label, the same for one `split_seed` on every machine.

    Args:
        after: labels of other data, which are numbered before those of this data that are not among them.

    Raises:
        DataError: the data cannot be read, or cannot be learned from; the message says where and what to do.
        PlanError: the task is unknown, or `split_seed` is negative.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "reviews.csv")
        >>> _ = file.write_text("text,label\\n" + "so good,1\\nso bad,0\\n" * 50)
        >>> data = load_data(DataSpec(path=str(file)))
        >>> data.task, data.label_names, len(data.train), len(data.validation), len(data.test)
        ('text-classification', ('0', '1'), 65, 15, 20)
    """
    if spec.split_seed < 0:
        raise PlanError(f"split_seed={spec.split_seed} is negative; use 0.")
    had_bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        return _load(spec, after)
    finally:
        if had_bars:
            datasets.enable_progress_bars()


def subset_rows(data: LabelledData, train_size: int | None, seed: int) -> dict[str, NDArray[np.int64]]:
    """Positions of the "train" and "validation" rows a run may learn from: all, or `train_size` training examples.

    A subset is stratified, with at least one example of each class; for one seed a smaller one lies inside a larger
    one. Validation is cut the same way to at most `train_size` rows: who has 64 labels has no 3000 to validate on.

    Raises:
        PlanError: `train_size` is larger than the train part or smaller than the number of classes.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "reviews.csv")
        >>> _ = file.write_text("text,label\\n" + "so good,1\\nso bad,0\\n" * 50)
        >>> rows = subset_rows(load_data(DataSpec(path=str(file))), train_size=8, seed=0)
        >>> len(rows["train"]), len(rows["validation"])
        (8, 8)
    """
    if train_size is None:
        return {split: np.arange(len(data.part(split))) for split in ("train", "validation")}
    if train_size > len(data.train):
        raise PlanError(
            f"train_size={train_size} is more than the {len(data.train)} training rows; use at most those."
        )
    classes = len(set(data.train["label"][:]))  # those of old data alone are among the names, not among the rows
    if train_size < classes:
        raise PlanError(
            f"train_size={train_size} is less than one example for each of the {classes} classes; "
            f"use {classes} or more."
        )
    orders = {split: stratified_order(data.part(split)["label"][:], seed) for split in ("train", "validation")}
    return {split: np.sort(order[:train_size]) for split, order in orders.items()}


def content_hash(rows: Dataset, label_names: Sequence[str], task: str) -> str:
    """SHA-256 (hex) over each input's bytes and label name, in order: any change of content or order shows."""
    kind = get_task(task)
    total = hashlib.sha256()
    for start in range(0, len(rows), ROWS_IN_MEMORY):
        batch = rows[start : start + ROWS_IN_MEMORY]
        for value, label in zip(batch["input"], batch["label"], strict=True):
            for item in (kind.digest(value), label_names[label].encode()):
                total.update(len(item).to_bytes(8, "big") + item)  # the length keeps "ab", "c" apart from "a", "bc"
    return total.hexdigest()


def _load(spec: DataSpec, after: Sequence[str]) -> LabelledData:
    source = read_source(spec.path, spec.config, spec.revision)
    columns = find_columns(source.parts[0].rows, spec, source.parts[0].origin)
    notes = [*source.notes, *columns.notes]
    parts = usable_parts(source.parts, columns, spec.drop_empty, notes)
    shares = {"test": spec.test_share, "validation": spec.validation_share}
    missing = {name: share for name, share in shares.items() if name not in [part.split for part in parts]}
    parts = drop_rare_classes(parts, len(missing) + 1, spec.drop_rare, notes)
    names = label_names_of(parts, notes)
    parts = _split_off(parts, missing, names, spec.split_seed, notes)
    names = (*after, *(name for name in names if name not in after))
    by_split = {part.split: part for part in parts}
    rows = {split: _numbered(part, names) for split, part in by_split.items()}
    return LabelledData(
        task=columns.task.name,
        label_names=names,
        train=rows["train"],
        validation=rows["validation"],
        test=rows["test"],
        input_column=columns.input,
        label_column=columns.label,
        hashes={split: content_hash(part, names, columns.task.name) for split, part in rows.items()},
        origins={split: part.origin for split, part in by_split.items()},
        source_rows={split: part.rows for split, part in by_split.items()},
        notes=tuple(notes),
    )


def _split_off(
    parts: list[LabelledPart], missing: Mapping[str, float], names: Sequence[str], seed: int, notes: list[str]
) -> list[LabelledPart]:
    """`parts` and the missing ones, whose rows come from the train part, the first of `parts`."""
    train = parts[0]
    staying, chosen = stratified_split(label_numbers(train.used_labels(), names), missing, seed)
    for split, share in missing.items():
        notes.append(
            f"no {split} part: {share:.0%} of {train.origin} split off ({len(chosen[split])} rows, stratified, "
            f"seed {seed})"
        )
    new = [replace(train, split=split, rows=train.rows[places]) for split, places in chosen.items()]
    return [train.keep(train.rows[staying]), *parts[1:], *new]


def _numbered(part: LabelledPart, names: Sequence[str]) -> Dataset:
    """The rows of a part in use, with the columns `input` and `label` (int64)."""
    numbers = np.array(label_numbers(part.labels, names), dtype=np.int64)
    return part.inputs.add_column("label", numbers).select(part.rows)
