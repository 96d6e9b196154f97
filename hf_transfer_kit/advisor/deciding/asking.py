"""The next question: the unknown fact whose values change the advice most; none where no answer would change it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hf_transfer_kit.advisor.advice import Question
from hf_transfer_kit.advisor.deciding.completions import deciding_fact
from hf_transfer_kit.advisor.deciding.decision import decide
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.conditions import Condition
from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf
from hf_transfer_kit.advisor.knowledge.rule_table import read_table
from hf_transfer_kit.advisor.knowledge.situation import MODALITY_OF_TASK, Situation

MOST_QUESTIONS = 7
METHOD_WEIGHT = 4  # another method weighs as much as four other families


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A quick reply: what is shown, the facts it means, and how a flip names it."""

    text: str
    facts: Mapping[str, Any]
    phrase: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Askable:
    """A fact that can be asked for: the question, its replies, the guides' questions it stands for, and when."""

    fact: str
    text: str
    rules: tuple[str, ...]
    replies: tuple[Reply, ...]
    when: Condition

    def as_question(self, facts: TaskFacts) -> Question:
        """The question as the advice shows it, with the replies that contradict nothing known."""
        fitting = [reply for reply in self.replies if _fits(reply.facts, facts)]
        shown = fitting if len(fitting) > 1 else self.replies
        return Question(fact=self.fact, text=self.text, replies=tuple(reply.text for reply in shown))


@cache
def askables() -> Mapping[str, Askable]:
    """All facts that can be asked for, by name."""
    return {
        fact: Askable(
            fact=fact, text=entry["text"], rules=tuple(entry["rules"]), when=Condition.of(entry.get("when", {})),
            replies=tuple(Reply(**reply) for reply in entry["replies"]),
        )
        for fact, entry in read_table("asking.toml").items()
    }  # fmt: skip


def next_question(facts: TaskFacts, memory_of: MemoryOf, asked: Collection[str] | None = None) -> Question | None:
    """What to ask next; None where every completion has the same method and first family, or after seven questions.

    Args:
        asked: facts that were asked for, answered or not: they are not asked for again. None: those that are known.
    """
    spent = [fact for fact in askables() if is_known(facts, fact)] if asked is None else list(asked)
    open_ = [each for each in _unknown(facts, memory_of) if each.fact not in (asked or ())]
    if len(spent) >= MOST_QUESTIONS or not open_:
        return None
    best = max(open_, key=lambda each: _differences(facts, each, memory_of))  # the first of equals
    if _differences(facts, best, memory_of):
        return best.as_question(facts)
    together = deciding_fact(facts, {each.fact: _fitting(facts, each) for each in open_}, memory_of)
    return None if together is None else askables()[together].as_question(facts)


def is_known(facts: TaskFacts, fact: str) -> bool:
    """Whether a fact is known, be it from another one: labels from those per class, the modality from the task."""
    if fact == "n_labelled":
        return facts.labels is not None
    if fact == "modality":
        return facts.modality is not None or facts.task in MODALITY_OF_TASK
    return getattr(facts, fact) is not None


def _unknown(facts: TaskFacts, memory_of: MemoryOf) -> list[Askable]:
    situation = decide(facts, memory_of).situation
    open_ = [each for each in askables().values() if not _answered(facts, each.fact, situation)]
    return [each for each in open_ if each.when.holds(situation)]


def _answered(facts: TaskFacts, fact: str, situation: Situation) -> bool:
    """A domain may have told the modality and the similarity."""
    implied = fact in ("modality", "similarity") and getattr(situation, fact) is not None
    return implied or is_known(facts, fact)


def _differences(facts: TaskFacts, askable: Askable, memory_of: MemoryOf) -> int:
    """How many other methods and families the replies lead to; methods weigh more."""
    now = decide(facts, memory_of).outcome
    then = {decide(facts.completed(meant), memory_of).outcome for meant in _fitting(facts, askable)} - {now}
    methods, families = {method for method, _ in then} - {now[0]}, {family for _, family in then} - {now[1]}
    return METHOD_WEIGHT * len(methods) + len(families)


def _fitting(facts: TaskFacts, askable: Askable) -> list[Mapping[str, Any]]:
    """What the replies mean, without those that contradict something known."""
    return [reply.facts for reply in askable.replies if _fits(reply.facts, facts)]


def _fits(meant: Mapping[str, Any], facts: TaskFacts) -> bool:
    return all(getattr(facts, fact) in (None, value) for fact, value in meant.items())
