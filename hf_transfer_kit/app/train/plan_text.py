"""The text of a plan in the page: checked while it is written, filled with the data of the visit, kept in step with
the form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hf_transfer_kit.app.data.chosen import DEMO, ChosenData, for_the_page, for_the_run
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train.form import Fields, fields_of, needs_old_data, with_fields
from hf_transfer_kit.app.train.starting import Place, check, command_for
from hf_transfer_kit.demo import EPOCHS, MODEL
from hf_transfer_kit.errors import PlanError, TransferKitError
from hf_transfer_kit.plan import DataSpec, Full, ModelSpec, Training, TransferPlan
from hf_transfer_kit.plan.specs import YOUR_DATA

LONGEST_PLAN = 20_000
NO_PLAN = "There is no plan yet; send one here from the Advisor tab, or use the demo data."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a plan's text is: the plan and its command, or what is wrong with it in words.

    Fields:
        plan: as it runs, with the place of its data; never shown.
        data_name: of its data, for people.
        command: that carries it out.
    """

    plan: TransferPlan | None = None
    data_name: str = ""
    problem: str = ""
    command: str = ""


def demo_text() -> str:
    """What is there before anything else: a short training on the demo data."""
    return TransferPlan(
        data=DataSpec(path=DEMO), model=ModelSpec(name=MODEL), approach=Full(),
        training=Training(epochs=EPOCHS, min_steps=0),
    ).to_yaml()  # fmt: skip


def checked(text: str | None, data: ChosenData | None, place: Place, settings: Settings) -> Checked:
    """What the page says of a plan (an empty field is None); never raises.

    Example:
        >>> checked("approach: {name: fulll}", None, Place(), Settings()).problem
        "the plan is not a hf_transfer_kit.plan file of version 1: ..."
    """
    if text is None or not text.strip():
        return Checked(problem=NO_PLAN)
    try:
        shown = read(text)
        if shown.data.path == YOUR_DATA:
            return Checked(problem="No data is chosen: use the demo data, or choose your own in the Baseline tab.")
        plan = for_the_run(shown, data)
        check(plan, place, settings)
        return Checked(plan=plan, data_name=shown.data.path, command=command_for(place))
    except TransferKitError as error:
        return Checked(problem=str(error) if data is None else data.said(error))


def read(text: str | None) -> TransferPlan:
    """The plan in a text of the page.

    Raises:
        PlanError, FormatError: it is none, or too long.
    """
    if not text or not text.strip():
        raise PlanError(NO_PLAN)
    if len(text) > LONGEST_PLAN:
        raise PlanError(f"the plan has {len(text):,} characters; {LONGEST_PLAN:,} is the most.")
    return TransferPlan.from_yaml(text, where="the plan")


def handed_over(plan_yaml: str, data: ChosenData | None) -> str:
    """The advisor's plan, with the chosen data in it where it left them open."""
    return for_the_page(TransferPlan.from_yaml(plan_yaml), data).to_yaml() if plan_yaml else ""


def filled(text: str | None, data: ChosenData | None) -> str | None:
    """The text of a plan after data was chosen; as it was where it is no plan, or its data is named already."""
    try:
        if data is not None and text == demo_text():  # nobody has touched it
            return replace(read(text), data=replace(data.spec, path=data.name)).to_yaml()
        return handed_over(text, data) if text and YOUR_DATA in text else text
    except TransferKitError:
        return text


def on_demo_data(text: str | None) -> str:
    """The plan on the demo data; the first one where there is none that can be read."""
    try:
        return replace(read(text), data=DataSpec(path=DEMO)).to_yaml()
    except TransferKitError:
        return demo_text()


def rewritten(text: str | None, values: Sequence[Any]) -> str:
    """The text of a plan after the form was changed.

    Args:
        values: of the form, in the order of `form_values`.

    Raises:
        PlanError, FormatError: the text was no plan, or the values make none.
    """
    wanted = _fields(values)
    if needs_old_data(wanted):
        raise PlanError("this protection learns from older data: choose some beside it.")
    return with_fields(read(text), wanted).to_yaml()


def form_values(text: str | None) -> list[Any] | None:
    """What the form shows of a plan: approach, model, epochs, batch size, protections, older data, seed, learning
    rate, examples, pieces of a batch, precision; None where the text is no plan."""
    try:
        found = fields_of(read(text))
    except TransferKitError:
        return None
    return [
        found.approach, found.model, found.epochs, found.batch_size, list(found.protections), found.old_data,
        found.seed, _written(found.learning_rate), _written(found.train_size), found.accumulation, found.precision,
    ]  # fmt: skip


def _fields(values: Sequence[Any]) -> Fields:
    approach, model, epochs, batch, protections, old, seed, rate, size, accumulation, precision = values
    return Fields(
        approach=str(approach), model=str(model or ""), epochs=_whole("Epochs", epochs),
        batch_size=_whole("Batch size", batch), protections=tuple(protections or ()), old_data=str(old or ""),
        seed=_whole("Seed", seed), learning_rate=_number("Learning rate", rate),
        train_size=None if _number("Training examples", size) is None else _whole("Training examples", size),
        accumulation=_whole("Pieces of a batch", accumulation), precision=str(precision),
    )  # fmt: skip


def _whole(label: str, value: Any) -> int:
    found = _number(label, value)
    if found is None or found != int(found):
        raise PlanError(f"“{label}” needs a whole number.")
    return int(found)


def _number(label: str, value: Any) -> float | None:
    """A number from a field; None where it is empty."""
    if value is None or not str(value).strip():
        return None
    try:
        found = float(str(value).strip())
    except ValueError as error:
        raise PlanError(f"“{label}” is '{str(value)[:40]}', which is no number.") from error
    if not abs(found) < 1e12:
        raise PlanError(f"“{label}” is '{str(value)[:40]}', which is too large.")
    return found


def _written(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"
