"""What is decided first: the method, how deep it goes, and the models. Everything else in the advice follows."""

from dataclasses import dataclass
from functools import lru_cache

from hf_transfer_kit.advisor.advice import Warned
from hf_transfer_kit.advisor.deciding.candidates import candidates, smallest
from hf_transfer_kit.advisor.deciding.depth import capped_by_processor, rungs
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf
from hf_transfer_kit.advisor.knowledge.models import KnownModel
from hf_transfer_kit.advisor.knowledge.rule_table import rule
from hf_transfer_kit.advisor.knowledge.situation import Situation, situation_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The core of an advice.

    Fields:
        situation: with method, depth and the kind of the first model filled in.
        models: the first one first; never empty.
        refused: why others were left out, as warnings.
        rules: ids of the rules behind the choice of models.
        too_large: deeper methods that no candidate fitted into the memory with.
    """

    situation: Situation
    models: tuple[KnownModel, ...]
    refused: tuple[Warned, ...]
    rules: tuple[str, ...]
    too_large: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """An approach of `compare`."""
        return str(self.situation.method)

    @property
    def outcome(self) -> tuple[str, str]:
        """Method and family of the first model: what the next question is about."""
        return self.method, self.models[0].family


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Method and models, before anything is said about them; the fields are those of `Decision`."""

    method: str
    depth: int
    models: tuple[KnownModel, ...]
    refused: tuple[Warned, ...]
    rules: tuple[str, ...]
    too_large: tuple[str, ...]


@lru_cache(maxsize=8192)
def decide(facts: TaskFacts, memory_of: MemoryOf) -> Decision:
    """Method and models for `facts`; the deepest method that the ladder allows and some candidate fits into memory."""
    start = situation_of(facts)
    found = choose(start, facts, memory_of)
    kind = found.models[0].kind
    situation = start.decided(
        method=found.method, depth=found.depth, kind=kind, rate=rate_of(facts.learning_rate, kind),
        capped_by_processor=capped_by_processor(start),
    )  # fmt: skip
    return Decision(
        situation=situation, models=found.models, refused=found.refused, rules=found.rules, too_large=found.too_large
    )


def choose(start: Situation, facts: TaskFacts, memory_of: MemoryOf) -> Choice:
    """The first rung that leaves a model; where none does, the last one with the model that comes nearest."""
    too_large: list[str] = []
    refused: list[Warned] = []
    for method, depth in rungs(start):
        found = candidates(start.decided(method=method, depth=depth), facts, memory_of)
        if found.models:
            break
        too_large.append(method)
        refused += found.refused
    models = found.models
    if not models:
        models = (smallest(start.decided(method=method, depth=depth), facts),)
        said = f"Nothing fits into {facts.memory_gib:g} GiB; {models[0].name} comes nearest. Use a larger machine."
        refused.append(rule("F9").as_warning(said))
        too_large.remove(method)
    return Choice(
        method=method, depth=depth, models=models, refused=tuple(dict.fromkeys((*refused, *found.refused))),
        rules=found.rules, too_large=tuple(dict.fromkeys(too_large)),
    )  # fmt: skip


def rate_of(rate: float | None, kind: str) -> str | None:
    """Whether a learning rate for pre-trained weights is "low", "ok" or "high": 1e-5 to 1e-4, for BERT to 5e-5."""
    if rate is None:
        return None
    if rate < 1e-5:
        return "low"
    return "high" if rate > (5e-5 if kind == "encoder" else 1e-4) else "ok"
