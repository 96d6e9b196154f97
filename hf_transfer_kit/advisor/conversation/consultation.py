"""A consultation: the conversation, what the data told, and what was measured; kept in a file, to go on later.

consultation = Consultation()
consultation, reply = consultation.told("5k tweets, 3 classes")
consultation, reply = consultation.measured(evidence_of(rank(...)))
reply.advice                                        # with the evidence in it
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from hf_transfer_kit.advisor import rules
from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.conversation.answers import Advise
from hf_transfer_kit.advisor.conversation.dialogue import DialogueState, Reply, inform, reply
from hf_transfer_kit.advisor.conversation.wording import NAMES, changes, say
from hf_transfer_kit.advisor.evidence import Evidence
from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf, known_memory
from hf_transfer_kit.values import check_format, from_mapping, read_json, to_mapping, write_json

FORMAT, VERSION = "hf_transfer_kit.consultation", 1
TOLD_BY_MEASURING = ("similarity",)  # facts that are not asked for where they can be measured


class Talk(Protocol):
    """Answers a message: `dialogue.reply`, or a language model that the rules hold by the hand."""

    def __call__(self, state: DialogueState, message: str, advise: Advise) -> tuple[DialogueState, Reply]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message and what was answered; the message is empty where the data or a measurement spoke."""

    message: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consultation:
    """Where a consultation stands; every step gives a new one.

    Fields:
        state: of the dialogue.
        evidence: what was measured; None where nothing was.
        turns: what was said so far.
    """

    state: DialogueState = field(default_factory=DialogueState)
    evidence: Evidence | None = None
    turns: tuple[Turn, ...] = ()

    def advise(self, memory_of: MemoryOf = known_memory) -> Advise:
        """Facts to advice, with the evidence of this consultation."""
        return partial(rules.advise, evidence=self.evidence, memory_of=memory_of)

    def advice(self, memory_of: MemoryOf = known_memory) -> Advice:
        """The advice on what is known."""
        return self.advise(memory_of)(self.state.facts, asked=self.state.asked)

    def told(
        self, message: str, *, talk: Talk = reply, memory_of: MemoryOf = known_memory
    ) -> tuple["Consultation", Reply]:
        """After a message, and the answer to it."""
        state, answer = talk(self.state, message, self.advise(memory_of))
        return self._after(state, message, answer), answer

    def with_data(
        self, facts: Mapping[str, Any], memory_of: MemoryOf = known_memory, *, measurable: bool = False
    ) -> tuple["Consultation", Reply]:  # fmt: skip
        """After the data told facts; where a person told something else, the data hold, and it is said.

        Args:
            measurable: candidates can be measured on them, so what that tells is not asked for.
        """
        asked = tuple(dict.fromkeys((*self.state.asked, *(TOLD_BY_MEASURING if measurable else ()))))
        before = replace(self.state, asked=asked)
        known, seen = self.state.facts.known, {name: value for name, value in facts.items() if value is not None}
        lines = [
            f"The data say {say(name, value)}, not {say(name, known[name])} ({NAMES[name]}); the data hold."
            for name, value in seen.items()
            if name != "data" and known.get(name, value) != value
        ]
        state, answer = inform(before, seen, lines, self.advise(memory_of))
        return self._after(state, "", answer), answer

    def measured(self, evidence: Evidence, memory_of: MemoryOf = known_memory) -> tuple["Consultation", Reply]:
        """After a measurement, with what it changes of the advice."""
        before = self.advice(memory_of)
        later = replace(self, evidence=evidence)
        after = later.advice(memory_of)
        lines = [f"Measured on {evidence.rows:,} training rows: {evidence.sentence}", *evidence.cautions]
        lines += [each.text for each in after.reasons if each.rule == "M4"]
        if found := changes(before, after):
            lines += ["The advice changes:", *map(str, found)]
        else:
            lines.append("The measurement agrees with the rules.")
        state, answer = inform(self.state, {}, lines, later.advise(memory_of))
        return later._after(state, "", answer), replace(answer, change=found)

    def to_mapping(self) -> dict[str, Any]:
        """As plain values, with `format` and `version` first."""
        return {"format": FORMAT, "version": VERSION} | dict(to_mapping(self))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "consultation") -> "Consultation":
        """The consultation in `mapping`; raises FormatError or PlanError where it is none."""
        return from_mapping(cls, check_format(mapping, name=FORMAT, version=VERSION, where=where), where)

    def save(self, path: Path) -> None:
        """Writes it as JSON, atomically."""
        write_json(path, self.to_mapping())

    @classmethod
    def load(cls, path: Path) -> "Consultation":
        """The consultation in a file; raises FormatError or PlanError where it is none."""
        return cls.from_mapping(read_json(path), str(path))

    def _after(self, state: DialogueState, message: str, answer: Reply) -> "Consultation":
        return replace(self, state=state, turns=(*self.turns, Turn(message=message, answer=answer.text)))


def messages(turns: Sequence[Turn]) -> list[str]:
    """What the person said."""
    return [each.message for each in turns if each.message]
