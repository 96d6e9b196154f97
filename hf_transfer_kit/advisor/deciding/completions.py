"""Whether any completion of the unknown facts leads to another method or family, found without trying them all.

A decision reads only some fields of the situation. A fact that feeds none of the fields read cannot have changed it,
so only facts that do are filled in, one after another, until an outcome differs or nothing that was read is open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, cast

from hf_transfer_kit.advisor.deciding.decision import choose, decide
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf
from hf_transfer_kit.advisor.knowledge.situation import Situation, situation_of

FIELDS = tuple(field.name for field in fields(Situation))
Replies = Mapping[str, Sequence[Mapping[str, Any]]]  # a fact that is open -> the facts that each of its replies means


class Watched:
    """A situation that remembers which of its fields were read."""

    def __init__(self, situation: Situation, read: set[str] | None = None):
        self._situation, self.read = situation, set() if read is None else read

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._situation, name)

    def decided(self, **decided: Any) -> "Watched":
        """As `Situation.decided`; what is read then counts too."""
        return Watched(self._situation.decided(**decided), self.read)


def deciding_fact(facts: TaskFacts, replies: Replies, memory_of: MemoryOf) -> str | None:
    """The first fact on a way to another outcome; None where every completion has the outcome of `facts`.

    Args:
        replies: the open facts by name, each with the facts that its replies mean.
    """
    now, start = decide(facts, memory_of).outcome, situation_of(facts)
    feeds = {
        fact: {name for changes in several for name in _differing(start, situation_of(facts.completed(changes)))}
        for fact, several in replies.items()
    }

    def differs(then: TaskFacts, open_: tuple[str, ...]) -> str | None:
        watched = Watched(situation_of(then))
        found = choose(cast(Situation, watched), then, memory_of)
        if (found.method, found.models[0].family) != now:
            return "found"
        fact = next((each for each in open_ if feeds[each] & watched.read), None)
        if fact is None:
            return None
        rest = tuple(each for each in open_ if each != fact)
        several = (then.completed(changes) for changes in replies[fact])
        return fact if any(differs(each, rest) for each in several) else None

    return differs(facts, tuple(replies))


def _differing(one: Situation, other: Situation) -> set[str]:
    return {name for name in FIELDS if getattr(one, name) != getattr(other, name)}
