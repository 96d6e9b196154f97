"""The six tools as a language model is told of them, and the strict reading of what it hands over."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, get_args, get_type_hints

from hf_transfer_kit.advisor.conversation.wording import METHODS
from hf_transfer_kit.advisor.facts import CHOICES, LIMITS, TaskFacts
from hf_transfer_kit.errors import PlanError, did_you_mean
from hf_transfer_kit.memory.estimate import PRECISIONS

MOST_ARGUMENTS = 4000  # characters
MOST_MODELS = 5  # of one ranking
LARGEST_BATCH, LONGEST_INPUT = 4096, 100_000
APPROACHES = tuple(METHODS)
_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_NOTES = {
    "domain": "subject of the data in the person's words, lower case: x-ray, satellite, legal",
    "language": "of the texts, ISO 639-1: en", "base_model": "Hub id that the person wants to start from",
}  # fmt: skip


def settable() -> tuple[str, ...]:
    """The facts that a language model may set: all but where the data lie, and what was measured."""
    return tuple(each.name for each in fields(TaskFacts) if each.name not in ("data", "frozen"))


def schemas() -> list[dict[str, Any]]:
    """The tools in OpenAI's format.

    Example:
        >>> [each["function"]["name"] for each in schemas()]
        ['set_facts', 'advise', 'rank', 'estimate_memory', 'search_models', 'make_plan']
    """
    facts = {name: _fact_schema(name) for name in settable()}
    model = {"type": "string", "description": "Hub id, from a tool result or as the person wrote it"}
    return [
        _tool(
            "set_facts", "Notes facts that the person said and the rules have not understood yet. Never guess.",
            {
                "facts": {"type": "object", "properties": facts, "additionalProperties": False},
                "words": {"type": "string", "description": "the person's own words that say so, copied exactly"},
            }, required=("facts", "words"),
        ),
        _tool("advise", "The advice of the rules for the facts known now, and the question to ask next.", {}),
        _tool(
            "rank", "Measures frozen models on the person's data. Takes minutes.",
            {"models": {"type": "array", "items": model, "minItems": 1, "maxItems": MOST_MODELS}},
            required=("models",),
        ),
        _tool(
            "estimate_memory", "Memory that training a model needs.",
            {
                "model": model, "approach": {"type": "string", "enum": list(APPROACHES)},
                "batch": {"type": "integer", "minimum": 1, "maximum": LARGEST_BATCH},
                "length": {"type": "integer", "minimum": 2, "maximum": LONGEST_INPUT,
                           "description": "tokens of a text, pixels of an image's side"},
                "precision": {"type": "string", "enum": list(PRECISIONS)},
            }, required=("model", "approach"),
        ),
        _tool("search_models", "Looks up models on the Hub for the facts known now.", {}),
        _tool("make_plan", "The plan for the advice, and the commands that run it.", {}),
    ]  # fmt: skip


def _tool(
    name: str, description: str, properties: Mapping[str, Any], required: tuple[str, ...] = ()
) -> dict[str, Any]:
    parameters = {
        "type": "object", "properties": dict(properties), "required": list(required), "additionalProperties": False,
    }  # fmt: skip
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def _fact_schema(name: str) -> dict[str, Any]:
    if name in CHOICES:
        return {"type": "string", "enum": list(CHOICES[name])}
    hint = get_type_hints(TaskFacts)[name]
    kinds = [each for each in (get_args(hint) if isinstance(hint, UnionType) else (hint,)) if each is not type(None)]
    schema: dict[str, Any] = {"type": _JSON_TYPES.get(kinds[0], "string")}
    if name in LIMITS:
        schema |= {"minimum": LIMITS[name][0], "maximum": LIMITS[name][1]}
    return schema | ({"description": _NOTES[name]} if name in _NOTES else {})


def read_arguments(name: str, arguments: object) -> dict[str, Any]:
    """The arguments of a call by name, without those that are null.

    Args:
        arguments: JSON text, as servers send it; or a mapping, as some do.

    Raises:
        PlanError: there is no such tool, or the arguments are no JSON object, not finite, too long, not among those of
            the tool, or not all that it needs.
    """
    tools = {each["function"]["name"]: each["function"]["parameters"] for each in schemas()}
    if name not in tools:
        shown = name if re.fullmatch(r"[\w-]{1,40}", name) else "?"
        raise PlanError(f"there is no tool '{shown}'; {did_you_mean(shown, tools)}")
    values = _object(arguments, name)
    unknown = [each for each in values if each not in tools[name]["properties"]]
    if unknown:
        known = ", ".join(tools[name]["properties"]) or "none"
        raise PlanError(f"{name} has no argument '{unknown[0][:40]}'; it takes: {known}.")
    missing = [each for each in tools[name]["required"] if each not in values]
    if missing:
        raise PlanError(f"{name} needs the argument '{missing[0]}'.")
    return values


def _object(arguments: object, name: str) -> dict[str, Any]:
    try:
        if isinstance(arguments, Mapping):
            arguments = json.dumps(arguments)
        if not isinstance(arguments, str) or len(arguments) > MOST_ARGUMENTS:
            raise PlanError(f"the arguments of {name} must be a JSON object of at most {MOST_ARGUMENTS:,} characters.")
        values = json.loads(arguments.strip() or "{}", parse_constant=_refuse_constant)
    except (ValueError, TypeError, RecursionError) as error:
        if isinstance(error, PlanError):
            raise
        raise PlanError(f"the arguments of {name} are not JSON.") from None
    if not isinstance(values, dict):
        raise PlanError(f"the arguments of {name} must be a JSON object.")
    return {str(key): value for key, value in values.items() if value is not None}


def _refuse_constant(word: str) -> None:
    raise PlanError(f"{word} is no number.")


def checked_number(values: Mapping[str, Any], name: str, otherwise: int | None, least: int, most: int) -> int | None:
    """The whole number `name` of `values`, or `otherwise`; raises PlanError where it is none between both ends."""
    if name not in values:
        return otherwise
    value = values[name]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise PlanError(f"{name} must be a whole number from {least:,} to {most:,}.")
    return value


def checked_choice(values: Mapping[str, Any], name: str, choices: tuple[str, ...], otherwise: str = "") -> str:
    """The text `name` of `values`; raises PlanError where it is not one of `choices`."""
    value = values.get(name, otherwise)
    if not isinstance(value, str) or value not in choices:
        raise PlanError(f"{name} must be one of {', '.join(choices)}.")
    return value
