"""The data at hand in the Advisor tab: what they tell goes into the consultation and is not asked for any more."""

import hashlib
from dataclasses import replace

from hf_transfer_kit.advisor.conversation.consultation import Consultation, Turn
from hf_transfer_kit.advisor.conversation.dialogue_state import DialogueState
from hf_transfer_kit.advisor.conversation.wording import describe
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.app.advisor.visit import Visit, trimmed
from hf_transfer_kit.app.data.chosen import DEMO, ChosenData
from hf_transfer_kit.app.data.look import loaded
from hf_transfer_kit.app.markup import card, escape, note
from hf_transfer_kit.demo import MODEL

NOTHING = (
    "No data at hand. The advice rests on what you tell; with data, what they tell need not be asked, and it can be "
    "measured."
)


def facts_of(chosen: ChosenData) -> TaskFacts:
    """What the data tell, without the place where they lie.

    Raises:
        DataError: they cannot be read or learned from.
    """
    from hf_transfer_kit.advisor.at_hand.data_facts import facts_from_data

    told = TaskFacts(**facts_from_data(loaded(chosen), chosen.name))
    model = MODEL if chosen.name == DEMO else told.base_model  # the demo brings its model along: no download
    return replace(told, data=None, base_model=model)


def is_known(visit: Visit, chosen: ChosenData | None) -> bool:
    """Whether the visit has heard of these data, read in this way; or of none, where there are none."""
    return (visit.data, visit.reading) == (("", "") if chosen is None else (chosen.name, _digest(chosen)))


def with_data(visit: Visit, chosen: ChosenData, facts: TaskFacts, *, measurable: bool) -> Visit:
    """After data were chosen: they tell `facts`, what others told is forgotten, and what was measured on those.

    Args:
        measurable: candidates may be measured on them here.

    Example:
        >>> from hf_transfer_kit.plan import DataSpec
        >>> chosen = ChosenData(name="mine.csv", spec=DataSpec(path="mine.csv"))
        >>> visit = with_data(Visit(), chosen, TaskFacts(modality="text", n_labelled=90), measurable=True)
        >>> visit.consultation.turns[0].answer.splitlines()[0]
        'Read from mine.csv: 90 labelled, text.'
    """
    before = replace(visit.consultation, state=_forgotten(visit), evidence=None)
    new = Visit(consultation=before, data=chosen.name, reading=_digest(chosen), of_data=facts)
    return _told_by_data(new, measurable)


def begun_again(visit: Visit, *, measurable: bool) -> Visit:
    """A new consultation; the data at hand stay, and tell what they tell."""
    new = replace(visit, consultation=Consultation(), job="", measured="")
    return _told_by_data(new, measurable) if visit.data else new


def without_data(visit: Visit) -> Visit:
    """After the data went away; what they told stays, as if it had been said."""
    return Visit(consultation=replace(visit.consultation, evidence=None))


def data_line(visit: Visit, problem: str = "") -> str:
    """Which data are at hand, as HTML; `problem`: why others are not."""
    if problem:
        return note(problem, "error")
    if not visit.data:
        return card(f'<p class="tk-quiet">{escape(NOTHING)}</p>')
    return card(
        f"<p><strong>Data at hand: {escape(visit.data)}</strong></p>"
        f'<p class="tk-quiet">{escape(describe(visit.of_data))}</p>'
    )


def _forgotten(visit: Visit) -> DialogueState:
    """The state without what only the data before told."""
    state = visit.consultation.state
    gone = {fact: None for fact, value in visit.of_data.known.items() if getattr(state.facts, fact) == value}
    return replace(state, facts=replace(state.facts, **gone))  # type: ignore[arg-type]


def _told_by_data(visit: Visit, measurable: bool) -> Visit:
    before = visit.consultation
    after, answer = before.with_data(visit.of_data.known, measurable=measurable)
    text = f"Read from {visit.data}: {describe(visit.of_data)}.\n{answer.text}"
    turns = (*before.turns, Turn(message="", answer=text))
    return replace(visit, consultation=trimmed(replace(after, turns=turns)))


def _digest(chosen: ChosenData) -> str:
    return hashlib.sha256(repr(chosen.spec).encode()).hexdigest()[:16]
