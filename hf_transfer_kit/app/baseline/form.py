"""What the Baseline tab's fields mean: values in, a request, a prompt or a sentence out."""

from dataclasses import dataclass, field
from typing import Any

from hf_transfer_kit.app.baseline.job import USUAL_SHOTS, Request
from hf_transfer_kit.app.baseline.prompt_preview import IN_A_LINE, Asking, preview, prompt_of, usual_asking
from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.data.hub_names import model_name
from hf_transfer_kit.app.data.look import loaded
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.wording import in_page_words
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.errors import DataError, PlanError, RemoteError, TransferKitError
from hf_transfer_kit.options import words
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.plan.prompting import CALIBRATIONS
from hf_transfer_kit.prompt_options import remote_model
from hf_transfer_kit.values import from_mapping, to_mapping

TEXT = "text-classification"
NO_DATA = "no data is chosen; take the demo data, upload a file, or read a data set of the Hub first."
NO_PROMPT = "The prompt appears here once data is read."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields of the tab as they were filled in.

    Fields:
        template: "": the usual one of this kind of model.
        url: of a server that answers; "": the model is loaded here.
        price, max_dollars: of a server that costs money: "0.15,0.60", and a limit.
        row: the test row that the preview shows, from 1.
    """

    model: str = MODEL
    shots: str = USUAL_SHOTS
    template: str = ""
    calibration: str = "batch"
    url: str = ""
    price: str = ""
    max_dollars: float | None = None
    row: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFields:
    """What the browser keeps of them; servers and money are named anew."""

    model: str = MODEL
    shots: str = USUAL_SHOTS
    template: str = ""
    calibration: str = field(default="batch")


def kept_fields(fields: Fields, usual: str) -> dict[str, Any]:
    """What the browser keeps, as plain values; of the usual template nothing."""
    own = "" if fields.template.strip() == usual.strip() else fields.template
    mapping: dict[str, Any] = to_mapping(
        KeptFields(model=fields.model, shots=fields.shots, template=own, calibration=fields.calibration)
    )
    return mapping


def fields_again(value: object) -> KeptFields:
    """What `kept_fields` stands for; the usual fields for anything else."""
    try:
        found = from_mapping(KeptFields, value, "the kept fields")
    except TransferKitError:
        return KeptFields()
    return found if found.calibration in CALIBRATIONS else KeptFields()


def model_of(fields: Fields, settings: Settings) -> ModelSpec:
    """The model that is asked.

    Raises:
        ModelError: its name is none of the Hub.
        RemoteError: a server is named where that is not allowed.
        PlanError: what a server's answers cost is not said.
    """
    url = fields.url.strip()
    if not url:
        return ModelSpec(name=model_name(fields.model))
    if settings.shared:
        raise RemoteError("a server's address can only be named in an app of your own; leave it empty.")
    price = fields.price.strip() or None
    if price not in (None, "0") and not fields.max_dollars:
        raise PlanError("answers that cost money need a limit; fill in the most dollars to spend.")
    return remote_model(fields.model.strip(), url, None, price, fields.max_dollars or None)


def request_of(chosen: ChosenData | None, fields: Fields, settings: Settings) -> Request:
    """What the fields ask for; raises TransferKitError where they cannot be carried out."""
    if chosen is None:
        raise DataError(NO_DATA)
    model = model_of(fields, settings)
    settings.check_may_start(chosen.spec, model)
    data = loaded(chosen)
    most_shots(fields.shots)
    prompt = None
    if fields.template.strip():
        asking = usual_asking(model, data.task)
        prompt = prompt_of(asking, fields.template)
        preview(data, asking, fields.template, 0)  # a template that cannot be filled in is refused now
    return Request(
        data=chosen, model=model, shots=fields.shots, calibration=fields.calibration,
        prompt="" if prompt is None else prompt.to_yaml(),
    )  # fmt: skip


def usual_template(chosen: ChosenData | None, fields: Fields, settings: Settings) -> str:
    """The template that a model is asked with where nobody writes another; "" where that cannot be known yet."""
    try:
        return _asking(chosen, fields, settings).template
    except TransferKitError:
        return ""


def how_asked(chosen: ChosenData | None, fields: Fields, settings: Settings) -> str:
    """What the model is and how it is asked, in a sentence; "" where that cannot be known yet."""
    try:
        return IN_A_LINE[_asking(chosen, fields, settings).kind]
    except TransferKitError:
        return ""


def prompt_shown(chosen: ChosenData | None, fields: Fields, settings: Settings) -> str:
    """The real prompt for one test row, or why there is none."""
    if chosen is None:
        return NO_PROMPT
    try:
        asking, shots = _asking(chosen, fields, settings), most_shots(fields.shots)
        return preview(loaded(chosen), asking, fields.template or asking.template, shots, max(fields.row, 1) - 1)
    except TransferKitError as error:
        return chosen.said(error)


def most_shots(text: str) -> int:
    """The largest of the numbers in "0, 4, 16"; raises PlanError where one is none."""
    for word in words(text):
        if not (word.isascii() and word.isdigit()):
            raise PlanError(f"'{word}' is no number of examples; write for example 0, 4, 16.")
    return max((int(word) for word in words(text)), default=0)


def said(error: Exception, chosen: ChosenData | None) -> str:
    """An error in the words of the page."""
    return in_page_words(str(error)) if chosen is None else chosen.said(error)


def _asking(chosen: ChosenData | None, fields: Fields, settings: Settings) -> Asking:
    task = TEXT if chosen is None else loaded(chosen).task
    return usual_asking(model_of(fields, settings), task)
