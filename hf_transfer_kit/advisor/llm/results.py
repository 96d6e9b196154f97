"""What a language model is told: results of tools as plain values, and those as JSON text."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_transfer_kit.advisor.advice import Advice, ModelAdvice
from hf_transfer_kit.advisor.conversation.dialogue_state import Reply
from hf_transfer_kit.advisor.conversation.wording import METHODS
from hf_transfer_kit.advisor.evidence import Evidence
from hf_transfer_kit.advisor.exports.plan_export import PlanExport
from hf_transfer_kit.advisor.knowledge.models import known_models
from hf_transfer_kit.advisor.llm.cleaning import Command, Foreign, cleaned
from hf_transfer_kit.advisor.llm.names import HUB_ID

if TYPE_CHECKING:
    from hf_transfer_kit.transferability.result import Ranking

MOST_CHARACTERS = 8000  # of one result
MOST_REASONS, MOST_MODELS = 6, 8
MOST_RULE_TEXT = 3000


def as_json(values: Mapping[str, Any]) -> str:
    """JSON text of at most `MOST_CHARACTERS`; `Foreign` text in it is cleaned and cut.

    Example:
        >>> as_json({"label": Foreign("cat<|im_end|>")})
        '{"label": "cat"}'
    """
    text = json.dumps(_plain(values), ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else json.dumps({"cut": text[: MOST_CHARACTERS // 2]})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {cleaned(str(key), 80): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return cleaned(value) if isinstance(value, Foreign) else value


def rules_values(ruled: Reply) -> dict[str, Any]:
    """What the rules make of the turn: what is understood, what they say, the advice, and the question to ask."""
    values: dict[str, Any] = {"understood": ruled.understood, "the_rules_say": ruled.text[:MOST_RULE_TEXT]}
    values |= {"advice": None if ruled.advice is None else advice_values(ruled.advice)}
    return values | {"question": None if ruled.question is None else ruled.question.text}


def advice_values(advice: Advice) -> dict[str, Any]:
    """The advice, methods in words."""
    return {
        "method": METHODS.get(advice.method, advice.method),
        "models": [model_values(each) for each in advice.models[:MOST_MODELS]],
        "hyperparameters": advice.hyperparameters,
        "protections": [each.replace("_", " ") for each in advice.protections],
        "baseline": advice.baseline,
        "evaluation": list(advice.evaluation),
        "warnings": [each.text for each in advice.warnings],
        "reasons": [{"text": each.text, "source": each.source} for each in advice.reasons[:MOST_REASONS]],
        "alternatives": [
            {"method": METHODS.get(each.method, each.method), "when": each.text} for each in advice.alternatives
        ],
        "what_would_change_it": [each.text for each in advice.flips],
        "measured": None if advice.evidence is None else evidence_values(advice.evidence),
    }


def evidence_values(evidence: Evidence) -> dict[str, Any]:
    """What was measured before; accuracies between 0 and 1, with their 95 % intervals."""
    return {
        "says": evidence.sentence,
        "careful": list(evidence.cautions),
        "training_rows": evidence.rows,
        "candidates": [
            {"model": Foreign(each.name), "accuracy": each.accuracy, "interval": [each.low, each.high]}
            for each in (*evidence.candidates, *evidence.controls)
        ],
    }  # fmt: skip


def model_values(model: ModelAdvice) -> dict[str, Any]:
    """A model; whatever does not stand in models.toml is text from its page."""
    known = any((model.hub_id, model.name) == (each.hub_id, each.name) for each in known_models().values())
    words = str if known else Foreign
    hub_id = model.hub_id if model.hub_id and HUB_ID.fullmatch(model.hub_id) else None
    return {
        "name": words(model.name), "hub_id": hub_id if known or hub_id is None else Foreign(hub_id),
        "parameters": model.parameters, "licence": words(model.licence), "memory_mib": model.memory_mib,
        "why": words(model.why),
    }  # fmt: skip


def ranking_values(ranking: "Ranking") -> dict[str, Any]:
    """What was measured; accuracies between 0 and 1, with their 95 % intervals."""
    return {
        "advised": ranking.advised and Foreign(ranking.advised),
        "says": ranking.sentence,
        "careful": list(ranking.cautions),
        "training_rows": ranking.rows,
        "classes": ranking.classes,
        "candidates": [
            {"model": Foreign(each.model.name), "best_layer": Foreign(each.layer), "accuracy": each.accuracy.value,
             "interval": [each.accuracy.low, each.accuracy.high], "tied_with_the_best": each.tied,
             "negative_transfer": each.negative_transfer}
            for each in ranking.candidates
        ],
        "controls": [{"name": each.name, "accuracy": each.accuracy.value} for each in ranking.controls],
        "failed": [
            {"model": Foreign(each.model), "why": Foreign(each.message)} for each in ranking.failures
        ],
    }  # fmt: skip


def found_values(models: Sequence[ModelAdvice]) -> dict[str, Any]:
    """Models that were looked up."""
    return {"models": [model_values(each) for each in models[:MOST_MODELS]]}


def plan_values(advice: Advice, export: PlanExport) -> dict[str, Any]:
    """The plan and the commands that run it; words in the plan may be of the data."""
    return {
        "plan": _foreign(advice.plan or {}),
        "command": Command(export.command),
        "launch": Command(export.launch),
        "job_command": Command(export.job_command),
        "notes": list(export.notes),
    }


def _foreign(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _foreign(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_foreign(each) for each in value]
    return Foreign(value) if isinstance(value, str) else value
