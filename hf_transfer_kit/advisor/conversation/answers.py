"""Answers to questions about the advice, out of its own reasons, alternatives and flip points, and of the glossary."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import yaml

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.conversation.glossary import look_up, near
from hf_transfer_kit.advisor.conversation.wording import METHODS, changes, say
from hf_transfer_kit.advisor.facts import CHOICES, TaskFacts
from hf_transfer_kit.advisor.language.contradictions import facts_after

MOST_REASONS = 6
_METHOD_WORDS = {  # the first that is in the question, so longer ones first
    "full": ("full fine", "fine-tune all", "fine tune all", "finetune all", "all layers", "full finetun",
             "whole model", "entire model", "full"),
    "scratch": ("scratch", "random init", "random weights"),
    "lora": ("lora", "adapter", "low-rank", "low rank"),
    "gradual": ("gradual", "unfreez"),
    "top_layers": ("top layer", "top_layers", "partial", "last layer"),
    "features": ("feature", "frozen", "freez", "linear probe", "embedding", "logistic regression"),
    "zero_shot": ("zero-shot", "zero shot", "prompt"),
    "few_shot": ("few-shot", "few shot", "in-context", "in context"),
}  # fmt: skip
_SIZES = (0, 50, 1_000, 50_000, 2_000_000)


class Advise(Protocol):
    """What `rules.advise` is called like; `asked` names the facts that were asked for already."""

    def __call__(self, facts: TaskFacts, *, asked: Sequence[str] = ()) -> Advice: ...


def method_in(words: str) -> str | None:
    """The method of `compare` that `words` speak of; None where they name none.

    Example:
        >>> method_in("full fine-tuning"), method_in("train from scratch"), method_in("pizza")
        ('full', 'scratch', None)
    """
    return next((method for method, signs in _METHOD_WORDS.items() if any(sign in words for sign in signs)), None)


def why(advice: Advice) -> str:
    """The reasons of the advice, each with its rule and source."""
    lines = [f"{each.text} ({each.rule}, {each.source})" for each in advice.reasons[:MOST_REASONS]]
    start = f"{METHODS.get(advice.method, advice.method).capitalize()} is advised because:"
    return "\n".join([start, *lines]) if lines else "No rule gives a reason beyond the facts above."


def why_not(advice: Advice, words: str, advise: Advise) -> str:
    """Why not a method or a model: what the rules say of it, and which fact would have to change."""
    method = method_in(words)
    if method is None:
        return _why_not_model(advice, words)
    if method == advice.method:
        return "That is what is advised.\n" + why(advice)
    name = METHODS[method]
    lines = [f"{each.text} ({each.rule})" for each in advice.alternatives if each.method == method]
    if lines:
        lines.insert(0, f"It is an alternative: {name}.")
    flips = [each.text for each in advice.flips if each.method == method] or list(_conditions(advice, method, advise))[
        :3
    ]
    lines += [f"What would change it: {text}" for text in flips]
    if not lines:
        lines = [f"No single fact would change the advice to {name}."]
    return "\n".join([*lines, why(advice)])


def _conditions(advice: Advice, method: str, advise: Advise) -> Iterator[str]:
    """The changes of one fact that make `method` the advice, found by trying them."""
    trials = {"n_labelled": _SIZES, **CHOICES, "llm": (True, False), "real_time": (True, False)}
    for fact, values in trials.items():
        for value in values:
            if (
                getattr(advice.facts, fact) != value
                and advise(facts_after(advice.facts, {fact: value})).method == method
            ):
                yield f"{say(fact, value)}: {METHODS[method]}."
                break


def _why_not_model(advice: Advice, words: str) -> str:
    """What the advice says of a model by name."""
    asked = words.strip().lower()
    names = ", ".join(model.name for model in advice.models) or "none"
    for place, model in enumerate(advice.models, 1):
        if asked and (asked in model.name.lower() or model.family.lower() == asked):
            return f"{model.name} is number {place} of the models advised: {model.why or 'see the reasons.'}"
    warned = [f"{each.text} ({each.rule})" for each in advice.warnings if asked and asked in each.text.lower()]
    if warned:
        return "\n".join(warned)
    if not asked:
        return why(advice)
    return f'The rules that hold here say nothing about "{words[:60]}". The models they name: {names}.'


def what_is(words: str) -> str:
    """A definition from the glossary, with its source; or the terms that are written alike."""
    term = look_up(words)
    if term:
        return f"{term.name}: {term.text} ({term.source})"
    alike = near(words)
    if alike:
        return f'The glossary has no "{words[:60]}". Did you mean {", ".join(alike)}?'
    return f'The glossary has no "{words[:60]}"; it explains terms of the advice, such as EWC, LoRA or replay.'


def what_if(facts: TaskFacts, supposed: Mapping[str, Any], advise: Advise) -> str:
    """What would be advised with `supposed`; nothing is remembered of it."""
    said = ", ".join(say(fact, value) for fact, value in supposed.items())
    before, after = advise(facts), advise(facts_after(facts, supposed))
    found = changes(before, after)
    if not found:
        return f"With {said}: the advice stays the same, {METHODS.get(before.method, before.method)}."
    lines = [str(change) for change in found]
    return "\n".join([f"With {said} (only supposed, your facts stay as they are):", *lines])


def show(advice: Advice) -> str:
    """The whole advice: method, models, settings, protections, evaluation, warnings, and the plan as YAML."""
    lines = [f"Method: {METHODS.get(advice.method, advice.method)}"]
    lines += [
        f"Model {i}: {each.name}" + (f" ({each.hub_id})" if each.hub_id else "")
        for i, each in enumerate(advice.models, 1)
    ]
    lines += [f"Setting: {name.replace('_', ' ')} {value}" for name, value in advice.hyperparameters.items()]
    lines += [f"Protection: {each.replace('_', ' ')}" for each in advice.protections]
    lines += [advice.baseline] if advice.baseline else []
    lines += [f"Evaluation: {each}" for each in advice.evaluation]
    lines += [f"Careful: {each.text} ({each.rule})" for each in advice.warnings]
    if advice.plan is not None:
        lines += [
            "Plan, for `transfer-kit run`:".replace("`", ""),
            yaml.safe_dump(advice.plan, sort_keys=False).rstrip(),
        ]
    return "\n".join(lines)
