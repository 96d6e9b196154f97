"""A first look at a data set: rows, columns, checks. The last few that were read stay in memory."""

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.data.pictures import Picture, picture
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import DataSpec

if TYPE_CHECKING:
    from hf_transfer_kit.data.labelled import LabelledData
    from hf_transfer_kit.findings import CheckReport

PREVIEW_ROWS, LONGEST_CELL = 5, 160
KEPT = 3  # data sets in memory
MOST_CHECKED = 20_000  # rows; looking for copies among more takes longer than anybody waits
HUB_SECONDS = 600  # after which a data set of the Hub is read again


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A first look at a data set.

    Fields:
        columns, rows: names, and the first rows as text.
        pictures: of the first rows, where they are images.
        input_column, label_column, task: as guessed or chosen; "" where that cannot be told.
        notes: what was decided while reading.
        classes, counts: how many classes there are, and rows of each part.
        checks: what is wrong with it; None where it cannot be learned from, or is too much to be checked while one
            waits.
        problem: why not, a sentence.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    pictures: tuple[Picture, ...] = ()
    input_column: str = ""
    label_column: str = ""
    task: str = ""
    notes: tuple[str, ...] = ()
    classes: int = 0
    counts: tuple[tuple[str, int], ...] = ()
    checks: "CheckReport | None" = None
    problem: str = ""


def look_at(chosen: ChosenData) -> Look:
    """Rows, columns and checks of a data set.

    Raises:
        DataError: it cannot be read at all.
    """
    return _look(chosen, _stamp(chosen.spec.path))


def loaded(chosen: ChosenData) -> "LabelledData":
    """The labelled rows; raises DataError in the words of the page."""
    try:
        return _loaded(chosen.spec, _stamp(chosen.spec.path))
    except (DataError, PlanError) as error:
        raise DataError(chosen.said(error)) from error


def shown(value: Any) -> str:
    """A cell as text, cut where it is long."""
    if isinstance(value, Mapping) and set(value) == {"bytes", "path"}:
        size = "" if value["bytes"] is None else f" ({len(value['bytes']) / 1000:,.0f} kB)"
        return f"image{size}"
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


@functools.lru_cache(maxsize=KEPT)
def _loaded(spec: DataSpec, stamp: tuple[int, int]) -> "LabelledData":
    from hf_transfer_kit.data.labelled import load_data

    return load_data(spec)


@functools.lru_cache(maxsize=KEPT)
def _look(chosen: ChosenData, stamp: tuple[int, int]) -> Look:
    from hf_transfer_kit.checking.checks import check_data
    from hf_transfer_kit.data.sources import read_source

    spec = chosen.spec
    try:
        found = read_source(spec.path, spec.config, spec.revision).parts[0].rows
    except DataError as error:
        raise DataError(chosen.said(error)) from error
    first = found.with_format("arrow")[:PREVIEW_ROWS].to_pylist()  # as it is stored: nothing is decoded
    rows = tuple(tuple(shown(row[name]) for name in found.column_names) for row in first)
    try:
        data = loaded(chosen)
    except DataError as error:
        return Look(
            columns=tuple(found.column_names), rows=rows, input_column=spec.input_column or "",
            label_column=spec.label_column or "", task=spec.task or "", problem=str(error),
        )  # fmt: skip
    counts = tuple((part, len(data.part(part))) for part in ("train", "validation", "test"))
    few = sum(count for _, count in counts) <= MOST_CHECKED
    return Look(
        columns=tuple(found.column_names), rows=rows, pictures=_pictures(data), input_column=data.input_column,
        label_column=data.label_column, task=data.task, notes=tuple(map(chosen.said, data.notes)),
        classes=len(data.label_names), counts=counts, checks=check_data(data) if few else None,
    )  # fmt: skip


def _pictures(data: "LabelledData") -> tuple[Picture, ...]:
    """Of the first training rows."""
    if data.task != "image-classification":
        return ()
    found = [data.train[row] for row in range(min(PREVIEW_ROWS, len(data.train)))]
    return tuple(picture(each["input"], data.label_names[each["label"]]) for each in found)


def _stamp(path: str) -> tuple[int, int]:
    """What changes when the data may have changed."""
    try:
        found = Path(path).stat()
    except OSError:
        return (int(time.time() // HUB_SECONDS), 0)
    return (found.st_mtime_ns, found.st_size)
