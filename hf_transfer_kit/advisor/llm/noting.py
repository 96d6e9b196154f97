"""The state and the rules' reply after a language model noted facts of a message."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from hf_transfer_kit.advisor.conversation.answers import Advise
from hf_transfer_kit.advisor.conversation.dialogue import inform
from hf_transfer_kit.advisor.conversation.dialogue_state import MOST_UNDO, DialogueState, Moment, Reply
from hf_transfer_kit.advisor.conversation.wording import Change
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.language.contradictions import facts_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """The state with the facts, and what the rules say of it."""

    state: DialogueState
    ruled: Reply


def noted(before: DialogueState, after: DialogueState, ruled: Reply, new: Mapping[str, Any], advise: Advise) -> Noted:
    """`after`, the state that the rules made of a message in `before`, with `new` facts.

    "undo" takes back the message and the facts together; a question of the rules about the message itself stays.

    Raises:
        PlanError: the facts cannot be together.
    """
    facts = facts_after(after.facts, new)
    changed = {
        each.name: value for each in fields(TaskFacts)
        if (value := getattr(facts, each.name)) != getattr(after.facts, each.name)
    }  # fmt: skip
    if not changed:
        return Noted(state=after, ruled=ruled)
    past = after.past
    if past == before.past:
        moment = Moment(
            facts=before.facts, declined=before.declined, asked=before.asked, question=before.question
        )  # fmt: skip
        past = (*past, moment)[-MOST_UNDO:]
    asked = after.asked
    if before.question and before.question.fact in changed and before.question.fact not in asked:
        asked = (*asked, before.question.fact)
    declined = tuple(each for each in after.declined if each not in changed)
    told = replace(after, past=past, asked=asked, declined=declined)
    state, reply = inform(told, changed, advise=advise)
    contradicts = (
        ruled.question is not None and ruled.question.fact not in changed and not _is_usual(ruled, after, advise)
    )
    if contradicts:
        state, reply = replace(state, question=ruled.question), replace(reply, question=ruled.question, done=False)
    return Noted(state=state, ruled=replace(reply, change=_joined(ruled.change, reply.change)))


def _is_usual(ruled: Reply, after: DialogueState, advise: Advise) -> bool:
    """Whether the question is the next one of the advice, not one about what contradicts itself."""
    usual = advise(after.facts, asked=after.asked).next_question
    return usual is not None and ruled.question is not None and usual.text == ruled.question.text


def _joined(first: tuple[Change, ...], second: tuple[Change, ...]) -> tuple[Change, ...]:
    """Two changes one after the other as one."""
    parts = {each.what: each for each in first}
    for each in second:
        earlier = parts.get(each.what)
        parts[each.what] = each if earlier is None else replace(each, before=earlier.before)
    return tuple(each for each in parts.values() if each.before != each.after)
