"""Where a conversation stands, and one turn of it: plain values, in JSON and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hf_transfer_kit.advisor.advice import Advice, Question
from hf_transfer_kit.advisor.conversation.wording import Change
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.values import check_format, from_mapping, to_mapping

FORMAT, VERSION = "hf_transfer_kit.dialogue", 1
MOST_UNDO = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What "undo" goes back to."""

    facts: TaskFacts
    declined: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    question: Question | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueState:
    """Where a conversation stands.

    Fields:
        facts: what is known.
        asked: facts that were asked for and answered, or declined, in order.
        declined: facts that the person does not know.
        question: the question that waits for its answer; None where none does.
        turns: messages so far.
        past: what "undo" goes back to, the last one last, 20 at most.
    """

    facts: TaskFacts = field(default_factory=TaskFacts)
    asked: tuple[str, ...] = ()
    declined: tuple[str, ...] = ()
    question: Question | None = None
    turns: int = 0
    past: tuple[Moment, ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """As plain values, with `format` and `version` first."""
        return {"format": FORMAT, "version": VERSION} | dict(to_mapping(self))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "dialogue state") -> "DialogueState":
        """The state in `mapping`; raises FormatError or PlanError where it is none."""
        state = from_mapping(cls, check_format(mapping, name=FORMAT, version=VERSION, where=where), where)
        if len(state.past) > MOST_UNDO or len(state.asked) > 100 or len(state.declined) > 100:
            raise FormatError(f"{where} is longer than a conversation can make it; start again.")
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One turn of the advisor, in plain text without markup.

    Fields:
        text: what it says.
        said: the part of it that is neither a summary of the advice nor a question: answers, notes, changes.
        understood: all that is known, to be shown with every reply: "Understood: 80 labelled, images, x-ray, no GPU".
        question: the one question of this turn, its replies ending in "I don't know"; None where nothing is asked.
        advice: once the kind of task and the number of labels are known, or declined.
        change: what became of the advice since the last turn.
        done: there is advice and nothing is left to ask, or the person has ended the conversation.
        ended: the person has.
    """

    text: str
    understood: str
    question: Question | None = None
    advice: Advice | None = None
    change: tuple[Change, ...] = ()
    said: tuple[str, ...] = ()
    done: bool = False
    ended: bool = False

    def to_mapping(self) -> dict[str, Any]:
        """As plain values."""
        return dict(to_mapping(self)) | {"advice": None if self.advice is None else self.advice.to_mapping()}
