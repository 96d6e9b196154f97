"""What the Baseline tab's fields mean, and what it shows of data, prompt and progress; values in, HTML or text out."""

from dataclasses import dataclass

from hf_transfer_kit.app.baseline.prompt_preview import Asking, preview, prompt_of, usual_asking
from hf_transfer_kit.app.baseline.run import Progress, Request
from hf_transfer_kit.app.data.chosen import ChosenData, Look, loaded
from hf_transfer_kit.app.data.hub_names import model_name
from hf_transfer_kit.app.markup import card, escape, items, note, section, table
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import DataError, PlanError, RemoteError, TransferKitError
from hf_transfer_kit.options import words
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompt_options import remote_model

TEXT = "text-classification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields of the tab as they were filled in.

    Fields:
        url: of a server that answers; "": the model is loaded here.
        price, max_dollars: of a server that costs money: "0.15,0.60", and a limit.
        row: the test row that the preview shows, from 1.
    """

    model: str
    shots: str = "0, 4, 16"
    template: str = ""
    calibration: str = "batch"
    url: str = ""
    price: str = ""
    max_dollars: float | None = None
    row: int = 1


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
        raise DataError("no data is chosen; read a data set first, or use the demo data.")
    model = model_of(fields, settings)
    prompt = None
    if fields.template.strip():
        prompt = prompt_of(usual_asking(model, loaded(chosen).task), fields.template)
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


def prompt_shown(chosen: ChosenData | None, fields: Fields, settings: Settings) -> str:
    """The real prompt for one test row, or why there is none."""
    if chosen is None:
        return "The prompt appears here once data is read."
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


def data_card(chosen: ChosenData, look: Look) -> str:
    """The first rows, what was guessed, and what the checks found, as HTML."""
    findings = look.checks.worst_first if look.checks else ()
    counts = f"{', '.join(f'{part} {rows:,}' for part, rows in look.checks.rows.items())}" if look.checks else ""
    classes = f"{look.checks.classes} classes; rows: {counts}" if look.checks else ""
    return card(
        f"<h3>{escape(chosen.name)}</h3>"
        + (f'<p class="tk-quiet">{escape(classes)}</p>' if classes else "")
        + note(look.problem, "error")
        + "".join(note(each.message, "error" if each.severity == "error" else "warning") for each in findings[:3])
        + (note("The checks found nothing wrong.", "good") if look.checks and not findings else "")
        + table(look.columns, look.rows)
        + section("More findings", items(each.message for each in findings[3:]), folded=True)
        + section("How it was read", items(look.notes), folded=True)
    )


def progress_bar(progress: Progress) -> str:
    """How far a baseline is, as HTML."""
    value = "" if progress.share is None else f' value="{min(max(progress.share, 0.0), 1.0):.3f}"'
    text = escape(progress.text)
    return card(
        f'<div role="status">{text}</div><progress class="tk-bar" max="1"{value} aria-label="{text}"></progress>'
    )


def _asking(chosen: ChosenData | None, fields: Fields, settings: Settings) -> Asking:
    task = TEXT if chosen is None else loaded(chosen).task
    return usual_asking(model_of(fields, settings), task)
