"""The conversation behind the page: values in, values out; the browser keeps a consultation and may send anything."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.conversation.consultation import Consultation, Turn
from hf_transfer_kit.advisor.conversation.dialogue import OPENING, inform
from hf_transfer_kit.advisor.conversation.dialogue_state import DialogueState
from hf_transfer_kit.advisor.conversation.wording import say
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.app.data.hub_names import is_hub_name
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.plan import TransferPlan

MOST_TURNS = 60  # that are kept and shown; the facts of older ones stay

Message = dict[str, Any]  # of gr.Chatbot: role, content, options


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the page shows of a consultation.

    Fields:
        messages: of the chat; the last one has the quick replies.
        chips: what is known, one chip a fact.
        advice: once there is some.
        plan: as YAML; "" where there is none.
    """

    messages: list[Message]
    chips: list[str]
    advice: Advice | None = None
    plan: str = ""


def restored(kept: Any) -> Consultation:
    """The consultation that a browser kept; a new one where it is none, or was tampered with.

    Example:
        >>> restored({"format": "something else"}).turns
        ()
    """
    if not kept:
        return Consultation()
    try:
        found = Consultation.from_mapping(kept)
        DialogueState.from_mapping(found.state.to_mapping())  # no longer than a conversation can make it
    except (TransferKitError, TypeError, RecursionError):
        return Consultation()
    facts = [found.state.facts, *(moment.facts for moment in found.state.past)]
    if not all(_is_harmless(each) for each in facts) or len(found.turns) > MOST_TURNS:
        return Consultation()
    return replace(found, evidence=None)  # measured here or not at all


def told(consultation: Consultation, message: str, most: int = 4000) -> Consultation:
    """After a message, of which the first `most` characters are read."""
    after, _ = consultation.told(message[:most])
    return _trimmed(consultation if not _is_harmless(after.state.facts) else after)


def with_chips(consultation: Consultation, chips: Sequence[str], most: int = 4000) -> Consultation:
    """After chips were taken away (these facts are forgotten) or written (these are read as messages).

    Example:
        >>> consultation = told(Consultation(), "80 labelled chest x-rays")
        >>> with_chips(consultation, ["images", "x-ray", "200 labelled"]).state.facts.n_labelled
        200
    """
    known = _facts_by_chip(consultation.state)
    written = [chip for chip in chips if chip not in known]
    for chip, fact in known.items():
        if chip not in chips:
            consultation = _without(consultation, fact, chip)
    for chip in written:
        consultation = told(consultation, chip, most)
    return consultation


def shown(consultation: Consultation) -> Shown:
    """What the page shows."""
    _, answer = consultation.with_data({})
    advice = answer.advice
    plan = "" if advice is None or advice.plan is None else TransferPlan.from_mapping(advice.plan).to_yaml()
    return Shown(
        messages=_messages(consultation), chips=list(_facts_by_chip(consultation.state)), advice=advice, plan=plan
    )


def _facts_by_chip(state: DialogueState) -> dict[str, str]:
    return {say(fact, value): fact for fact, value in state.facts.known.items()}


def _without(consultation: Consultation, fact: str, chip: str) -> Consultation:
    """A fact is forgotten, and may be asked for again."""
    state = replace(consultation.state, asked=tuple(each for each in consultation.state.asked if each != fact))
    state, answer = inform(state, {fact: None}, [f"Forgotten: {chip}."], consultation.advise())
    turns = (*consultation.turns, Turn(message="", answer=answer.text))
    return _trimmed(replace(consultation, state=state, turns=turns))


def _trimmed(consultation: Consultation) -> Consultation:
    return replace(consultation, turns=consultation.turns[-MOST_TURNS:])


def _messages(consultation: Consultation) -> list[Message]:
    found: list[Message] = [{"role": "assistant", "content": OPENING}]
    for turn in consultation.turns:
        if turn.message:
            found.append({"role": "user", "content": turn.message})
        found.append({"role": "assistant", "content": turn.answer})
    if (question := consultation.state.question) is not None:
        found[-1]["options"] = [{"value": each, "label": each} for each in question.replies]
    return found


def _is_harmless(facts: TaskFacts) -> bool:
    """Whether no fact names a place on this machine."""
    return facts.data is None and (facts.base_model is None or is_hub_name(facts.base_model))
