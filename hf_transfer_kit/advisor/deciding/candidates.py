"""Which models to start from: a slate, less what is too large, too slow, or known to transfer badly."""

from dataclasses import dataclass
from functools import cache

from hf_transfer_kit.advisor.advice import Warned
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf, memory_sum
from hf_transfer_kit.advisor.knowledge.models import KnownModel, Slate, model_named, slates
from hf_transfer_kit.advisor.knowledge.rule_table import Rule, rule, rules
from hf_transfer_kit.advisor.knowledge.situation import Situation

PROMPTED = ("zero_shot", "few_shot")
Models = tuple[KnownModel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What is left of a slate.

    Fields:
        models: the first one first; empty where none fits into the memory.
        refused: why others were left out.
        rules: ids of the rules behind the slate.
    """

    models: tuple[KnownModel, ...]
    refused: tuple[Warned, ...]
    rules: tuple[str, ...]


def slate_of(situation: Situation) -> Slate:
    """The first slate whose condition holds."""
    return next(slate for slate in slates() if slate.when.holds(situation))


def candidates(situation: Situation, facts: TaskFacts, memory_of: MemoryOf) -> Candidates:
    """The models for a situation whose method is decided."""
    slate = slate_of(situation)
    models = slate.models
    if facts.base_model is not None:
        own = model_named(facts.base_model)
        models = (own, *(model for model in models if model.key != own.key))
    if situation.method not in PROMPTED:
        models = tuple(model for model in models if model.can_train)
    refused: list[Warned] = []
    models = _fast_enough(models, situation, refused)
    models = _small_enough(models, facts.max_parameters, refused)
    models = _poor_last(models, situation)
    models = _fitting(models, situation, facts, memory_of, refused)
    return Candidates(models=models, refused=tuple(refused), rules=slate.rules)


def smallest(situation: Situation, facts: TaskFacts) -> KnownModel:
    """What comes nearest to fitting, where nothing does."""
    able = [model for model in slate_of(situation).models if situation.method in PROMPTED or model.can_train]
    return min(able, key=lambda model: model.parameters or float("inf"))


def poor_rules(situation: Situation) -> list[Rule]:
    """The rules that call a family a poor start here."""
    return [each for each in _rules_on_families() if each.when is not None and each.when.holds(situation)]


@cache
def _rules_on_families() -> tuple[Rule, ...]:
    return tuple(each for each in rules().values() if each.poor)


def _fast_enough(models: Models, situation: Situation, refused: list[Warned]) -> Models:
    if not situation.fast:
        return models
    for model in models:
        if model.is_large_transformer:
            id, where = ("F8", "to answer in real time") if situation.real_time else ("F5", "for a phone or a sensor")
            refused.append(rule(id).as_warning(f"{model.name} is left out: it is too large {where}."))
    return tuple(model for model in models if not model.is_large_transformer)


def _small_enough(models: Models, most: int | None, refused: list[Warned]) -> Models:
    """Those of at most `most` parameters; else the smallest there is."""
    if most is None or not models:
        return models
    left = tuple(model for model in models if (model.parameters or 0) <= most)
    if left:
        return left
    least = min(models, key=lambda model: model.parameters or 0)
    said = f"No model of this list has at most {most:,} parameters; {least.name} comes nearest."
    refused.append(rule("F15").as_warning(said))
    return (least,)


def _poor_last(models: Models, situation: Situation) -> Models:
    """A model is never the first choice for what it is known to be poor at."""
    poor = {family for each in poor_rules(situation) for family in each.poor}
    return tuple(sorted(models, key=lambda model: model.family in poor))  # a stable sort


def _fitting(
    models: Models, situation: Situation, facts: TaskFacts, memory_of: MemoryOf, refused: list[Warned]
) -> Models:
    if facts.memory_gib is None or situation.method is None:
        return models
    left, most = [], facts.memory_gib * 1024
    for model in models:
        needed = memory_of(model, situation.method) if model.hub_id else None
        if needed is None or needed <= most:
            left.append(model)
            continue
        told = memory_sum(memory_of, model, situation.method)
        said = (
            f"{model.name} is refused: {situation.method} needs about {needed / 1024:.1f} GiB"
            f"{told and f' ({told})'}, and there are {facts.memory_gib:g} GiB."
        )
        refused.append(rule("F9").as_warning(said))
    return tuple(left)
