"""The conversation behind the page: a visit and what a person does in, a visit out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.conversation.consultation import Consultation, Talk, Turn
from hf_transfer_kit.advisor.conversation.dialogue import OPENING, inform, reply
from hf_transfer_kit.advisor.conversation.dialogue_state import DialogueState
from hf_transfer_kit.advisor.conversation.follow_ups import follow_ups
from hf_transfer_kit.advisor.conversation.wording import say
from hf_transfer_kit.advisor.language.questions import command
from hf_transfer_kit.advisor.language.words import tidy
from hf_transfer_kit.app.advisor.visit import Visit, is_harmless, trimmed
from hf_transfer_kit.plan import TransferPlan

TRY_DEMO, MEASURE = "Try it with the demo data", "Measure candidates on the data"  # quick replies that do something
EXAMPLES = (
    "5k tweets, 3 classes, one T4",
    "80 labelled chest x-rays, no GPU",
    "200 support tickets in 12 topics, laptop only",
)
OF_DATA = " (data)"  # ends the chip of a fact that the data told

Message = dict[str, Any]  # of gr.Chatbot: role, content, options


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the page shows of a visit.

    Fields:
        messages: of the chat; the last one has the quick replies.
        chips: what is known, one chip a fact.
        advice: once there is some.
        plan: as YAML; "" where there is none.
        no_plan: why not, a sentence; "" where there is one.
    """

    messages: list[Message]
    chips: list[str]
    advice: Advice | None = None
    plan: str = ""
    no_plan: str = ""


def told(visit: Visit, message: str, most: int = 4000, *, talk: Talk = reply) -> Visit:
    """After a message, of which the first `most` characters are read."""
    after, _ = visit.consultation.told(message[:most], talk=talk)
    return visit if not is_harmless(after.state.facts) else replace(visit, consultation=trimmed(after))


def is_new_start(message: str) -> bool:
    """Whether a message asks to start again, and says nothing else."""
    asked = command(tidy(message))
    return asked is not None and asked.kind == "start_again"


def with_chips(visit: Visit, chips: Sequence[str], most: int = 4000) -> Visit:
    """After chips were taken away (these facts are forgotten) or written (these are read as messages).

    Example:
        >>> visit = told(Visit(), "80 labelled chest x-rays")
        >>> with_chips(visit, ["images", "x-ray", "200 labelled"]).consultation.state.facts.n_labelled
        200
    """
    known = facts_by_chip(visit)
    written = [chip for chip in chips if chip not in known]
    for chip, fact in known.items():
        if chip not in chips:
            visit = replace(visit, consultation=_without(visit.consultation, fact, chip))
    for chip in written:
        visit = told(visit, chip, most)
    return visit


def shown(visit: Visit) -> Shown:
    """What the page shows."""
    _, answer = visit.consultation.with_data({})
    advice = answer.advice
    plan = "" if advice is None or advice.plan is None else TransferPlan.from_mapping(advice.plan).to_yaml()
    return Shown(
        messages=_messages(visit, advice), chips=list(facts_by_chip(visit)), advice=advice, plan=plan,
        no_plan="" if plan else _no_plan(advice),
    )  # fmt: skip


def facts_by_chip(visit: Visit) -> dict[str, str]:
    """The chips, and the fact of each."""
    of_data = visit.of_data.known
    return {
        say(fact, value) + (OF_DATA if of_data.get(fact) == value else ""): fact
        for fact, value in visit.consultation.state.facts.known.items()
    }


def _no_plan(advice: Advice | None) -> str:
    if advice is None:
        return "The plan opens as soon as there is advice: say what kind of data it is and how many are labelled."
    return (
        "The kit has no plan for this: it trains and measures one label per text or image, with models that it can "
        "load. The advice holds all the same."
    )


def _without(consultation: Consultation, fact: str, chip: str) -> Consultation:
    """A fact is forgotten, and may be asked for again."""
    state = replace(consultation.state, asked=tuple(each for each in consultation.state.asked if each != fact))
    state, answer = inform(state, {fact: None}, [f"Forgotten: {chip}."], consultation.advise())
    turns = (*consultation.turns, Turn(message="", answer=answer.text))
    return trimmed(replace(consultation, state=state, turns=turns))


def _messages(visit: Visit, advice: Advice | None) -> list[Message]:
    found: list[Message] = [{"role": "assistant", "content": OPENING}]
    for turn in visit.consultation.turns:
        if turn.message:
            found.append({"role": "user", "content": turn.message})
        found.append({"role": "assistant", "content": turn.answer})
    if replies := _replies(visit, advice):
        found[-1]["options"] = [{"value": each, "label": each} for each in replies]
    return found


def _replies(visit: Visit, advice: Advice | None) -> tuple[str, ...]:
    """The question's quick replies; else what may be asked about the advice; at the very beginning examples."""
    state: DialogueState = visit.consultation.state
    if state.question is not None:
        return state.question.replies
    if advice is not None:
        measurable = visit.data and not visit.job
        return (*([MEASURE] if measurable else []), *follow_ups(advice))
    if visit.consultation.turns:
        return ()
    return (*([] if visit.data else [TRY_DEMO]), *EXAMPLES)
