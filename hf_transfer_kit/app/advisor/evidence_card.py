"""What was measured on the data: a sentence, a plot, a table."""

from hf_transfer_kit.advisor.evidence import Evidence, Measured
from hf_transfer_kit.app.advisor.evidence_plot import Dot, dot_plot
from hf_transfer_kit.app.markup import card, escape, items, note, section, table
from hf_transfer_kit.plan.specs import short_model_name

CONTROL, CANDIDATE, ADVISED = "control", "candidate", "advised"
HELD_OUT = "its layer, validation rows"


def evidence_card(evidence: Evidence | None) -> str:
    """The card as HTML; "" where nothing was measured."""
    if evidence is None:
        return ""
    failed = section("Not measured", items(evidence.failures), folded=True)
    return card(
        f"<h3>Measured on {escape(evidence.data)}</h3>"
        f'<p class="tk-quiet">Accuracy of frozen features, with 95% intervals, on {evidence.rows:,} training rows; no '
        "test label was read.</p>"
        f"<p>{escape(evidence.sentence)}</p>"
        + "".join(note(each, "warning") for each in evidence.cautions[:2])
        + dot_plot(_dots(evidence), "Accuracy of each candidate and control, with its 95% interval")
        + section("The numbers", _table(evidence))
        + section("More to be careful with", items(evidence.cautions[2:]), folded=True)
        + failed
    )


def _dots(evidence: Evidence) -> list[Dot]:
    """Candidates and controls in order; below the advised one the same on validation rows."""
    found = [_dot(short_model_name(each.name), each, _kind(each, evidence)) for each in evidence.candidates]
    if evidence.held_out is not None:
        place = 1 + [each.name for each in evidence.candidates].index(evidence.model)
        found.insert(place, _dot(HELD_OUT, evidence.held_out, CANDIDATE))
    return found + [_dot(each.name, each, CONTROL) for each in evidence.controls]


def _dot(name: str, each: Measured, kind: str) -> Dot:
    return Dot(name=name, value=each.accuracy, low=each.low, high=each.high, kind=kind)


def _kind(each: Measured, evidence: Evidence) -> str:
    return ADVISED if each.name == evidence.model and evidence.frozen != "no_better" else CANDIDATE


def _table(evidence: Evidence) -> str:
    heads = ["", "accuracy", "95% interval", "layer", "last layer", ""]
    rows = [_row(short_model_name(each.name), each, _word(each, evidence)) for each in evidence.candidates]
    rows += [_row(each.name, each, CONTROL) for each in evidence.controls]
    if evidence.held_out is not None:
        rows.append(_row(HELD_OUT, evidence.held_out, ""))
    return table(heads, rows, marked=short_model_name(evidence.model))


def _row(name: str, each: Measured, word: str) -> list[str]:
    last = "" if each.last_layer is None else f"{each.last_layer:.3f}"
    return [name, f"{each.accuracy:.3f}", f"{each.low:.3f} to {each.high:.3f}", each.layer or "", last, word]


def _word(each: Measured, evidence: Evidence) -> str:
    words = [ADVISED] if _kind(each, evidence) == ADVISED else ["level"] if each.level else []
    return ", ".join([*words, *(["negative transfer"] if each.negative_transfer else [])])
