"""What `--data` can name, read into parts: files, folders by split name, folders of images by class, the Hub."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
from datasets import Dataset, DatasetDict

from hf_transfer_kit.data.files import TABLE_SUFFIXES, mark_images, read_table
from hf_transfer_kit.data.hub import load_from_hub
from hf_transfer_kit.errors import DataError, did_you_mean
from hf_transfer_kit.plan.specs import YOUR_DATA, YOUR_OLD_DATA
from hf_transfer_kit.tasks.image_classification import IMAGE_SUFFIXES

SPLITS = ("train", "validation", "test")
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")  # train-00000-of-00002.parquet


@dataclass(frozen=True, kw_only=True)
class Part:
    """The rows of one split as they were found.

    Fields:
        split: "train", "validation" or "test".
        origin: where the rows stand, for messages: "train.csv".
        rows: all columns.
    """

    split: str
    origin: str
    rows: Dataset


@dataclass(frozen=True, kw_only=True)
class Source:
    """The parts of a data set, in the order train, validation, test, and what was decided while reading them."""

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()


def read_source(path: str, config: str | None = None, revision: str | None = None) -> Source:
    """The parts of the data set that `path` names.

    Args:
        path: a file, a folder, or a Hub name.
        config, revision: of a Hub data set.

    Raises:
        DataError: nothing is there, nothing in it can be used, or the Hub does not have it or cannot be reached.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = [(folder / name).write_text("text,label\\ngood,1\\n") for name in ("train.csv", "dev.csv")]
        >>> [(part.split, part.origin) for part in read_source(str(folder)).parts]
        [('train', 'train.csv'), ('validation', 'dev.csv')]
    """
    try:
        source = _read(path, config, revision)
    except PermissionError as error:
        raise DataError(
            f"'{error.filename or path}' may not be read; allow it with: chmod -R u+rX '{path}'"
        ) from error
    if source.parts[0].split != "train":
        found = ", ".join(part.origin for part in source.parts)
        raise DataError(
            f"'{path}' has no train part, only {found}; add one (train.csv, say), or name one file as the data."
        )
    return source


def _read(path: str, config: str | None, revision: str | None) -> Source:
    """Whatever is at `path`, else on the Hub."""
    place = Path(path).expanduser()
    if place.is_file():
        return Source(parts=(Part(split="train", origin=place.name, rows=read_table(place)),))
    if place.is_dir():
        return _read_folder(place)
    if path in (YOUR_DATA, YOUR_OLD_DATA):
        kind, setting = ("data", "data.path") if path == YOUR_DATA else ("old data", "old_data.path")
        raise DataError(
            f"{path} stands for {kind} of your own; write the path or the Hub name of yours ({setting} in a plan)."
        )
    if _looks_like_path(path):
        raise DataError(f"'{path}' does not exist; {_siblings(place)}")
    return _read_hub(path, config, revision)


def _read_folder(folder: Path) -> Source:
    """Tries each kind of folder; one that holds only a folder stands for that folder."""
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return _read_saved(folder)
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith((".", "__"))]
    tables = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in TABLE_SUFFIXES]
    folders = [entry for entry in entries if entry.is_dir()]
    by_split = _by_split({table: table.stem for table in tables})
    classes = [entry for entry in folders if _has_images(entry)]
    if by_split or (len(tables) == 1 and len(classes) < 2):
        return _read_tables(by_split or {tables[0]: "train"}, entries)
    if len(folders) == 1 and not _images_in(folders[0]):
        return _read_folder(folders[0])
    if classes:
        return _read_image_folder(folder, classes, entries)
    if tables:
        raise DataError(
            f"'{folder}' has {', '.join(table.name for table in tables[:5])}, and none is named train, validation or "
            "test; rename them so, or name one file as the data."
        )
    if _images_in(folder):
        raise DataError(
            f"'{folder}' has images but no folder per class; put each into a folder named after its class."
        )
    found = ", ".join(entry.name for entry in entries[:5]) or "nothing"
    raise DataError(
        f"'{folder}' holds {found}; expected {', '.join(TABLE_SUFFIXES)} files or folders of images by class."
    )


def _by_split(names: dict[Path, str]) -> dict[Path, str]:
    """Which entries are which split: those named exactly so, else those with one split name among their words."""
    plain = {entry: _SHARD.sub("", name.lower()) for entry, name in names.items()}
    exact = {entry: split for entry, name in plain.items() for split, known in _SPLIT_NAMES.items() if name in known}
    if exact:
        return exact
    loose = {}
    for entry, name in plain.items():  # "seg_train", "training_set"
        words = set(re.split(r"[^a-z]+", name))
        splits = [split for split, known in _SPLIT_NAMES.items() if words.intersection(known)]
        if len(splits) == 1:
            loose[entry] = splits[0]
    return loose


def _read_tables(by_split: dict[Path, str], entries: Sequence[Path]) -> Source:
    parts = []
    for split in SPLITS:
        files = [file for file, name in by_split.items() if name == split]
        if len(files) > 1 and not all(_SHARD.search(file.stem.lower()) for file in files):
            names = " and ".join(file.name for file in files)
            raise DataError(f"{names} in '{files[0].parent}' are both the {split} part; remove or rename one.")
        if files:
            rows = datasets.concatenate_datasets([read_table(file) for file in files])
            parts.append(Part(split=split, origin=files[0].name, rows=rows))
    unused = [entry.name for entry in entries if entry not in by_split and entry.suffix.lower() in TABLE_SUFFIXES]
    note = f"left out, not named train, validation or test: {_some(unused)}"
    return Source(parts=tuple(parts), notes=(note,) if unused else ())


def _read_image_folder(folder: Path, classes: Sequence[Path], entries: Sequence[Path]) -> Source:
    """`class/x.png`, or `train/class/x.png`; a class called "train" has its images directly inside."""
    by_split = _by_split({entry: entry.name for entry in classes if not _images_in(entry)})
    notes: list[str] = []
    parts = []
    for split in SPLITS:
        roots = [entry for entry, name in by_split.items() if name == split]
        if len(roots) > 1:
            names = " and ".join(root.name for root in roots)
            raise DataError(f"{names} in '{folder}' are both the {split} part; remove or rename one.")
        if roots:
            parts.append(_images_by_class(split, roots[0].name, _unwrap(roots[0]), notes))
    if not by_split:
        parts.append(_images_by_class("train", folder.name, folder, notes))
    else:
        unused = [entry.name for entry in entries if entry not in by_split]
        notes += [f"left out, no folders of images by class: {_some(unused)}"] if unused else []
    return Source(parts=tuple(parts), notes=tuple(notes))


def _images_by_class(split: str, origin: str, root: Path, notes: list[str]) -> Part:
    """One row per image file below each class folder, in the order of class and file names."""
    paths: list[str] = []
    labels: list[str] = []
    for folder in sorted(
        entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__"))
    ):
        files = [file for file in _files_below(folder) if not file.name.startswith(".")]
        images = [str(file) for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
        others = [file.name for file in files if file.suffix.lower() not in IMAGE_SUFFIXES]
        if others:
            notes.append(f"{origin}/{folder.name}: left out, no images: {_some(others)}")
        if not images:
            notes.append(f"{origin}/{folder.name}: left out, holds no images")
        paths += images
        labels += [folder.name] * len(images)
    features = datasets.Features({"image": datasets.Image(decode=False), "label": datasets.Value("string")})
    rows = Dataset.from_dict({"image": paths, "label": labels}, features=features)
    return Part(split=split, origin=f"{origin}/", rows=rows)


def _unwrap(folder: Path) -> Path:
    """`seg_train/seg_train/class/` means the inner folder."""
    inner = [entry for entry in folder.iterdir() if entry.is_dir()]
    return inner[0] if len(inner) == 1 and not _images_in(inner[0]) else folder


def _read_saved(folder: Path) -> Source:
    try:
        saved = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"'{folder}' cannot be read ({error}); save it again with save_to_disk.") from error
    return _source_of(saved, str(folder))


def _source_of(found: Dataset | DatasetDict, name: str) -> Source:
    """The parts of what `datasets` loaded."""
    if isinstance(found, Dataset):
        found = DatasetDict({"train": found})
    by_split = _by_split({Path(str(key)): str(key) for key in found})
    if not by_split and len(found) == 1:
        by_split = {Path(str(next(iter(found)))): "train"}
    parts = []
    for split in SPLITS:
        keys = [str(key) for key, value in by_split.items() if value == split]
        if len(keys) > 1:
            raise DataError(f"'{name}': {' and '.join(keys)} are both the {split} part; save it with one of them.")
        if keys:
            parts.append(Part(split=split, origin=keys[0], rows=mark_images(found[keys[0]])))
    if not parts:
        raise DataError(f"'{name}' has the parts {', '.join(map(str, found))}; one must be named train.")
    for part in parts:
        if not len(part.rows):
            raise DataError(f"'{name}': part {part.origin} has no rows; add examples, or remove the part.")
    unused = [str(key) for key in found if Path(str(key)) not in by_split]
    note = f"parts left out, not named train, validation or test: {_some(unused)}"
    return Source(parts=tuple(parts), notes=(note,) if unused else ())


def _read_hub(name: str, config: str | None, revision: str | None) -> Source:
    found, commit = load_from_hub(name, config, revision)
    source = _source_of(found, name)
    return Source(parts=source.parts, notes=(*source.notes, *([f"Hub commit {commit}"] if commit else [])))


def _looks_like_path(name: str) -> bool:
    """Whether a name that is nothing here was meant as a file or folder rather than as a Hub name."""
    is_hub_name = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) and not name.startswith((".", "/", "~"))
    return (
        not is_hub_name
        or bool(Path(name).suffix.lower() in (*TABLE_SUFFIXES, ".zip", ".txt", ".xlsx"))
        or ("/" in name and Path(name).parent.is_dir())
    )


def _siblings(place: Path) -> str:
    """What to do about a missing file: the nearest name beside it, or where the path ends."""
    parent = place.parent
    while not parent.is_dir():
        place, parent = parent, parent.parent
    names = [entry.name for entry in parent.iterdir() if not entry.name.startswith(".")]
    near = did_you_mean(place.name, names) if names else ""
    return near if near.startswith("did") else f"there is no '{place.name}' in '{parent}'; check the path."


def _images_in(folder: Path) -> bool:
    return any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in folder.iterdir() if entry.is_file())


def _has_images(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in _files_below(folder))


def _files_below(folder: Path) -> Iterable[Path]:
    """All files below `folder`, in the same order on every machine."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(place) / name for name in sorted(files))


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
