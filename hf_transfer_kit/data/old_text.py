"""Old text without labels: what `--old-data` names, where it holds texts and nothing that could be a label.

    data = load_old_text(DataSpec(path="encyclopedia.txt"))
    data.test[0]         # "The otter is a mammal."
    data.notes           # ("no label column: scored as plain text", ...)

A model learns nothing from it first: it is scored before and after training (approaches/old_text). Read are .txt files
(a text per line that is not empty), tables and Hub data sets with a text column, and folders of those by split.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from datasets import ClassLabel, Dataset, Features, Value

from hf_transfer_kit.data.columns import USUAL_LABEL_COLUMNS
from hf_transfer_kit.data.files import TABLE_SUFFIXES, decode
from hf_transfer_kit.data.sources import read_source
from hf_transfer_kit.errors import DataError, PlanError, did_you_mean
from hf_transfer_kit.plan import Approach, DataSpec, Lora, Protection
from hf_transfer_kit.tasks import get_task

MOST_TRAIN, MOST_TEST = 2000, 500  # texts in use: more make a score little sharper, and each costs two passes a run
TASK = get_task("text-classification")  # which knows columns of texts, and what no text is


@dataclass(frozen=True, slots=True, kw_only=True)
class OldTextData:
    """Texts without labels.

    Fields:
        path: of the texts.
        train: what protections and a probe may learn from; at most MOST_TRAIN.
        test: what is scored; at most MOST_TEST, none of them in `train`.
        digest: SHA-256 (hex) over the test texts in their order.
        notes: what was decided while loading, one sentence each.
    """

    path: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    digest: str
    notes: tuple[str, ...] = ()


def has_labels(spec: DataSpec) -> bool:
    """Whether the old data that `spec` names is labelled, so that a model can learn it first.

    It is where `spec.label_column` names a column, and where one could be the label: it has a usual name ("label",
    "intent", ...) or the type of class labels, or holds values that repeat, beside the text. It is not where the data
    is a .txt file or a folder of those. Pictures count as labelled. To have texts scored without a label column that
    they come with, write them to a .txt file.

    Raises:
        DataError: the data cannot be read.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "texts.csv")
        >>> _ = file.write_text("text\\nan otter swims\\na fox runs\\n")
        >>> has_labels(DataSpec(path=str(file)))
        False
    """
    if _text_files(spec.path):
        return False
    if spec.label_column is not None:
        return True
    with _no_progress_bars():
        rows = read_source(spec.path, spec.config, spec.revision).parts[0].rows
    texts = TASK.input_columns(rows.features)
    texts = [name for name in texts if spec.input_column in (None, name) and not _is_label(rows.features, name)]
    if not texts:
        return True
    only = texts[0] if len(texts) == 1 else None
    free = [name for name in rows.column_names if name != only and name.lower() not in TASK.usual_input_columns]
    return any(_is_label(rows.features, name) or _repeats(rows, name) for name in free)


def load_old_text(spec: DataSpec) -> OldTextData:
    """The texts that `spec` names, without their other columns; who calls has asked `has_labels`.

    Where there is no test part, `spec.test_share` of the train texts is split off, the same for one `spec.split_seed`
    on every machine. More texts than are used are drawn by that seed; texts keep their order. Left out are empty
    texts, train texts that stand in the test part, and a validation part.

    Raises:
        DataError: the data cannot be read, has no column of texts or several, or too few texts.
        PlanError: `spec.split_seed` is negative.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "texts.txt")
        >>> _ = file.write_text("an otter swims\\n\\na fox runs\\na dog sleeps\\n")
        >>> data = load_old_text(DataSpec(path=str(file), test_share=0.4))
        >>> len(data.train), len(data.test)
        (2, 1)
    """
    if spec.split_seed < 0:
        raise PlanError(f"split_seed={spec.split_seed} is negative; use 0.")
    notes = ["no label column: scored as plain text"]
    with _no_progress_bars():
        read = _read(spec, notes)
    parts = {split: _usable(texts, split, notes) for split, texts in read.items()}
    if "test" not in parts:
        parts["train"], parts["test"] = _split_off(spec, parts["train"])
        share, count = spec.test_share, len(parts["test"])
        notes.append(f"no test part: {share:.0%} of the texts split off ({count}, seed {spec.split_seed})")
    held_out = set(parts["test"])
    train = [text for text in parts["train"] if text not in held_out]
    if len(train) < len(parts["train"]):
        notes.append(f"train: {len(parts['train']) - len(train)} texts stand in the test part, too; left out")
    if not train or not parts["test"]:
        raise DataError(f"'{spec.path}' has too few different texts to hold some out; give ten or more.")
    test = _drawn(parts["test"], MOST_TEST, spec.split_seed, "test", notes)
    train = _drawn(train, MOST_TRAIN, spec.split_seed, "train", notes)
    digest = text_digest(test)
    return OldTextData(path=spec.path, train=tuple(train), test=tuple(test), digest=digest, notes=tuple(notes))


def text_digest(texts: Sequence[str]) -> str:
    """SHA-256 (hex) over texts in their order."""
    total = hashlib.sha256()
    for text in texts:
        content = TASK.digest(text)
        total.update(len(content).to_bytes(8, "big") + content)  # the length keeps "ab", "c" apart from "a", "bc"
    return total.hexdigest()


def check_old_text_use(old: OldTextData, task_name: str, approach: Approach, protection: Protection) -> None:
    """Raises where old text without labels does not go together with the rest of a plan.

    Args:
        task_name: of the new data.

    Raises:
        DataError: the new data is not of texts.
        PlanError: replay, which needs labels; EWC on adapters, which the model as given does not have.
    """
    if task_name != TASK.name:
        raise DataError(
            f"the old data '{old.path}' holds texts without labels, and the new data is for {task_name}; give old "
            "data of that kind, with labels."
        )
    if protection.replay is not None:
        raise PlanError(
            f"replay needs labels, which the old data '{old.path}' has not; use ewc or l2sp, or name its label column "
            "(--old-label-column)."
        )
    if protection.ewc is not None and isinstance(approach, Lora):
        raise PlanError(
            f"lora+ewc: the old data '{old.path}' has no labels, so its importance is that of the model as given, "
            "which has no adapters; use lora+l2sp or full+ewc."
        )


def _text_files(path: str) -> list[Path]:
    """The .txt files that `path` names: itself, or those of a folder that holds no other data."""
    place = Path(path).expanduser()
    if place.is_file():
        return [place] if place.suffix.lower() == ".txt" else []
    if not place.is_dir():
        return []
    files = [file for file in sorted(place.iterdir()) if file.is_file() and not file.name.startswith(".")]
    is_table = any(file.suffix.lower() in (*TABLE_SUFFIXES, ".arrow") for file in files)
    return [] if is_table else [file for file in files if file.suffix.lower() == ".txt"]


def _read(spec: DataSpec, notes: list[str]) -> dict[str, Sequence[str | None]]:
    """Texts by split: train, and test where there is such a part."""
    if files := _text_files(spec.path):
        if named := spec.input_column or spec.label_column:
            raise DataError(f"'{spec.path}' is plain text without columns, such as '{named}'; leave the option out.")
        by_split = {"train": files[0]} if len(files) == 1 else {file.stem.lower(): file for file in files}
        if "train" not in by_split:
            names = ", ".join(file.name for file in files[:5])
            raise DataError(f"'{spec.path}' holds {names}; name them train.txt and test.txt, or give one of them.")
        unused = [file.name for split, file in by_split.items() if split not in ("train", "test")]
        notes += [f"left out, not named train or test: {', '.join(unused)}"] if unused else []
        return {split: _lines(by_split[split]) for split in ("train", "test") if split in by_split}
    source = read_source(spec.path, spec.config, spec.revision)
    column = _text_column(source.parts[0].rows, spec, source.parts[0].origin)
    notes += [*source.notes, f"texts: column {column}"]
    texts = {}
    for part in source.parts:
        if part.split == "validation":
            notes.append(f"{part.origin} is not used")
        elif column not in part.rows.column_names:
            raise DataError(f"{part.origin} has no column '{column}', which the train part has; add it.")
        else:
            texts[part.split] = part.rows[column][:]
    return texts


def _lines(file: Path) -> list[str | None]:
    return [line.strip() for line in decode(file).split("\n") if line.strip()]


def _text_column(rows: Dataset, spec: DataSpec, origin: str) -> str:
    """The column of texts: the one named, else one with a usual name, else the only one."""
    found = TASK.input_columns(rows.features)
    if spec.input_column is not None:
        if spec.input_column not in rows.column_names:
            near = did_you_mean(spec.input_column, rows.column_names)
            raise DataError(f"{origin} has no column '{spec.input_column}' (--old-input-column); {near}")
        if spec.input_column not in found:
            raise DataError(f"{origin}: column '{spec.input_column}' holds no texts; name one of {', '.join(found)}.")
        return spec.input_column
    if not found:
        raise DataError(f"{origin} has no column of texts, only {', '.join(rows.column_names)}; give one that has.")
    if len(found) > 1 and found[0].lower() not in TASK.usual_input_columns:
        raise DataError(f"{origin}: {', '.join(found)} could all be the texts; name one with --old-input-column.")
    return found[0]


def _is_label(features: Features, name: str) -> bool:
    return name.lower() in USUAL_LABEL_COLUMNS or isinstance(features[name], ClassLabel)


def _repeats(rows: Dataset, name: str) -> bool:
    """Whether a column holds words, whole numbers or booleans: two values or more, and two rows a value."""
    kind = rows.features[name]
    if not isinstance(kind, Value) or not kind.dtype.startswith(("string", "large_string", "int", "uint", "bool")):
        return False
    values = [value for value in rows[name][:] if value not in (None, "")]
    return 2 <= len(set(values)) <= len(rows) / 2 < len(values)


def _usable(texts: Sequence[str | None], split: str, notes: list[str]) -> list[str]:
    """The texts that are not empty."""
    usable = [str(text) for text in texts if TASK.problem(text) is None]
    if len(usable) < len(texts):
        notes.append(f"{split}: {len(texts) - len(usable)} of {len(texts)} texts are empty; left out")
    return usable


def _split_off(spec: DataSpec, texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """(texts that stay, those of the test part); of texts that are the same all go to one side."""
    different = list(dict.fromkeys(texts))
    if len(different) < 2:
        raise DataError(f"'{spec.path}' has {len(different)} different texts, too few to hold some out; give more.")
    count = min(max(round(spec.test_share * len(different)), 1), len(different) - 1)
    order = np.random.default_rng([spec.split_seed, len(different)]).permutation(len(different))
    chosen = {different[position] for position in order[:count]}
    return [text for text in texts if text not in chosen], [text for text in different if text in chosen]


def _drawn(texts: list[str], most: int, seed: int, split: str, notes: list[str]) -> list[str]:
    """At most `most` of `texts`, in their order."""
    if len(texts) <= most:
        return texts
    notes.append(f"{split}: {most} of {len(texts)} texts used, drawn with seed {seed}")
    positions = np.random.default_rng([seed, len(texts)]).permutation(len(texts))[:most]
    return [texts[position] for position in np.sort(positions)]


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    had_bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if had_bars:
            datasets.enable_progress_bars()
