"""The four data sets: which rows are used, and how they come into files that the kit reads.

FOLDER holds `clinc150/`, `snips/`, `sign_digits/` (tables) and `fashion_mnist/fashion_mnist.npz`. Of each, a pool of
training rows is drawn once, with validation and test rows beside it, all stratified; sizes are drawn from the pool.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image, Value

from hf_transfer_kit.data.labelled import LabelledData, load_data, subset_rows
from hf_transfer_kit.data.split import stratified_order, stratified_split
from hf_transfer_kit.plan import DataSpec

TEXT, IMAGE = "text", "image"
MOST = {"train": 4096, "validation": 500, "test": 1000}  # rows of each part
PARTS = tuple(MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One data set.

    Fields:
        kind: "text" or "image".
        label_column: in its files.
        sizes: numbers of training rows; the first one has at least one row of each class.
    """

    name: str
    kind: str
    classes: int
    label_column: str
    sizes: tuple[int, ...]


DATA_SETS = (  # those that take least time first
    DataSet(name="sign_digits", kind=IMAGE, classes=10, label_column="label", sizes=(16, 64, 256, 1024)),
    DataSet(name="fashion_mnist", kind=IMAGE, classes=10, label_column="label", sizes=(16, 64, 256, 1024, 4096)),
    DataSet(name="snips", kind=TEXT, classes=7, label_column="intent", sizes=(16, 64, 256, 1024, 4096)),
    DataSet(name="clinc150", kind=TEXT, classes=150, label_column="intent", sizes=(150, 256, 1024, 4096)),
)


def prepare(data_set: DataSet, source: Path, folder: Path) -> Path:
    """Writes the pool of `data_set` into `folder`, a table for each part, unless it is there; returns `folder`."""
    if all((folder / f"{part}.parquet").exists() for part in PARTS):
        return folder
    parts = _drawn(data_set, source / data_set.name)
    write_parts(parts, folder)
    return folder


def write_size(pool: LabelledData, size: int, seed: int, folder: Path) -> Path:
    """Writes what a person with `size` training rows has, a table for each part; returns `folder`.

    The rows are those that `compare` draws from the pool with this size and seed.
    """
    if not all((folder / f"{part}.parquet").exists() for part in PARTS):
        rows = subset_rows(pool, size, seed)
        parts = {part: pool.part(part).select(rows[part]) for part in rows} | {"test": pool.test}
        write_parts({name: _named(part, pool.label_names) for name, part in parts.items()}, folder)
    return folder


def write_parts(parts: dict[str, Dataset], folder: Path) -> None:
    """A table for each part; the last one is written last, so its presence says that all are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        parts[part].to_parquet(folder / f"{part}.parquet")


def _drawn(data_set: DataSet, source: Path) -> dict[str, Dataset]:
    """The rows of each part that are used."""
    if data_set.name == "fashion_mnist":
        return _fashion(source / "fashion_mnist.npz")
    data = load_data(DataSpec(path=str(source), label_column=data_set.label_column))
    drawn = {}
    for part, most in MOST.items():
        rows = data.part(part)
        chosen = np.sort(stratified_order(rows["label"][:], seed=0)[:most])
        drawn[part] = _named(rows.select(chosen), data.label_names)
    return drawn


def _named(rows: Dataset, names: Sequence[str]) -> Dataset:
    """`rows` with the names of their labels, so that every file says by itself what its classes are."""
    kind = rows.features["input"]
    column = "image" if isinstance(kind, Image) else "text"
    features = Features({column: kind, "label": ClassLabel(names=list(names))})
    return rows.rename_column("input", column).select_columns([column, "label"]).cast(features)


def _fashion(file: Path) -> dict[str, Dataset]:
    """Fashion-MNIST comes as arrays; its validation part is drawn from the training rows."""
    arrays = np.load(file)
    staying, drawn = stratified_split(
        arrays["y_train"].tolist(), {"validation": MOST["validation"] / len(arrays["y_train"])}, seed=0
    )
    rows = {"train": staying, "validation": drawn["validation"], "test": np.arange(len(arrays["y_test"]))}
    parts = {}
    for part, most in MOST.items():
        end = "test" if part == "test" else "train"
        images, labels = (arrays[f"{letter}_{end}"][rows[part]] for letter in "xy")
        chosen = np.sort(stratified_order(labels.tolist(), seed=0)[:most])
        parts[part] = _pictures(images[chosen], labels[chosen], [str(name) for name in arrays["names"]])
    return parts


def _pictures(images: Any, labels: Any, names: Sequence[str]) -> Dataset:
    from PIL import Image as Picture

    table = {"image": [Picture.fromarray(each) for each in images], "label": [int(each) for each in labels]}
    return Dataset.from_dict(table, features=Features({"image": Image(), "label": Value("int64")})).cast_column(
        "label", ClassLabel(names=list(names))
    )
