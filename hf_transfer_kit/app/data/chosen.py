"""The data set of a visit: where it comes from, how it looks, what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transfer_kit.app.data.hub_names import data_name, is_hub_name
from hf_transfer_kit.demo import demo_data
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import DataSpec, TransferPlan
from hf_transfer_kit.plan.specs import YOUR_DATA

if TYPE_CHECKING:
    from hf_transfer_kit.data.labelled import LabelledData
    from hf_transfer_kit.findings import CheckReport

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
PREVIEW_ROWS, LONGEST_CELL = 5, 160
DEMO = "demo sentences"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenData:
    """A data set by the name that people see, and what to load; the place on this machine is never shown."""

    name: str
    spec: DataSpec

    def said(self, error: Exception) -> str:
        """An error in the words of the page."""
        text = str(error).replace(self.spec.path, self.name)
        for option, words in (("--input-column", "the input column"), ("--label-column", "the label column")):
            text = text.replace(option, words)
        return text

    def with_columns(self, input_column: str | None, label_column: str | None) -> "ChosenData":
        """The same data read from other columns; None or "" stands for: guess."""
        spec = replace(self.spec, input_column=input_column or None, label_column=label_column or None)
        return replace(self, spec=spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A first look at a data set.

    Fields:
        columns, rows: names, and the first rows as text.
        input_column, label_column: as guessed or chosen; "" where that cannot be told.
        notes: what was decided while reading.
        checks: what is wrong with it; None where it cannot be learned from.
        problem: why not, a sentence.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    input_column: str = ""
    label_column: str = ""
    notes: tuple[str, ...] = ()
    checks: "CheckReport | None" = None
    problem: str = ""


def demo() -> ChosenData:
    """The sentences inside the package."""
    return ChosenData(name=DEMO, spec=DataSpec(path=str(demo_data())))


def uploaded(path: str) -> ChosenData:
    """A file that the page took.

    Raises:
        DataError: it is of no kind that can be read here.
    """
    file = Path(path)
    if file.suffix.lower() == ".zip":
        raise DataError(
            f"'{file.name}' is an archive, which the page does not unpack; upload a Parquet file with the images in "
            "it, or use: transfer-kit baseline --data FOLDER"
        )
    if file.suffix.lower() not in SUFFIXES:
        raise DataError(f"'{file.name}' is no table; upload one of {', '.join(SUFFIXES)}.")
    return ChosenData(name=file.name, spec=DataSpec(path=str(file)))


def on_the_hub(name: str) -> ChosenData:
    """A data set by its Hub name; raises DataError where it is none."""
    name = data_name(name)
    return ChosenData(name=name, spec=DataSpec(path=name))


def look_at(chosen: ChosenData) -> Look:
    """Rows, columns and checks of a data set.

    Raises:
        DataError: it cannot be read at all.
    """
    from hf_transfer_kit.checking.checks import check_data
    from hf_transfer_kit.data.labelled import load_data
    from hf_transfer_kit.data.sources import read_source

    try:
        found = read_source(chosen.spec.path, chosen.spec.config, chosen.spec.revision).parts[0].rows
    except DataError as error:
        raise DataError(chosen.said(error)) from error
    columns = tuple(found.column_names)
    rows = tuple(
        tuple(shown(row[name]) for name in columns) for row in found.select(range(min(PREVIEW_ROWS, len(found))))
    )
    try:
        data = load_data(chosen.spec)
    except (DataError, PlanError) as error:
        return Look(
            columns=columns, rows=rows, input_column=chosen.spec.input_column or "",
            label_column=chosen.spec.label_column or "", problem=chosen.said(error),
        )  # fmt: skip
    return Look(
        columns=columns, rows=rows, input_column=data.input_column, label_column=data.label_column,
        notes=tuple(data.notes), checks=check_data(data),
    )  # fmt: skip


def loaded(chosen: ChosenData) -> "LabelledData":
    """The labelled rows; raises DataError in the words of the page."""
    from hf_transfer_kit.data.labelled import load_data

    try:
        return load_data(chosen.spec)
    except (DataError, PlanError) as error:
        raise DataError(chosen.said(error)) from error


def shown(value: Any) -> str:
    """A cell as text, cut where it is long."""
    if isinstance(value, Mapping) and set(value) == {"bytes", "path"}:
        size = "" if value["bytes"] is None else f" ({len(value['bytes']) / 1000:,.0f} kB)"
        return f"image{size}"
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def for_the_page(plan: TransferPlan, chosen: ChosenData | None) -> TransferPlan:
    """A plan with the chosen data in the place of YOUR_DATA, by the name that people see."""
    if chosen is None or plan.data.path != YOUR_DATA:
        return plan
    return replace(plan, data=replace(chosen.spec, path=chosen.name, max_length=plan.data.max_length))


def for_the_run(plan: TransferPlan, chosen: ChosenData | None) -> TransferPlan:
    """A plan from the page with the place of its data.

    Raises:
        DataError: its data is neither the chosen one nor on the Hub.
        PlanError: its model is not on the Hub, or it names a prompt file.
    """
    if plan.model is not None and (plan.model.remote is not None or not is_hub_name(plan.model.name)):
        raise PlanError(f"model.name '{plan.model.name}' must be a name on the Hub, loaded here: org/name.")
    if getattr(plan.approach, "prompt", None):
        raise PlanError("approach.prompt names a file; leave it out, and write the prompt in the Baseline tab.")
    if plan.data.path == YOUR_DATA:
        raise DataError("data.path is still YOUR_DATA; choose data in the Baseline tab, or write a Hub name.")
    specs = {"data": plan.data} | ({} if plan.old_data is None else {"old_data": plan.old_data})
    return replace(plan, **{name: _placed(spec, chosen) for name, spec in specs.items()})  # type: ignore[arg-type]


def _placed(spec: DataSpec, chosen: ChosenData | None) -> DataSpec:
    if chosen is not None and spec.path == chosen.name:
        return replace(spec, path=chosen.spec.path)
    return replace(spec, path=data_name(spec.path))
