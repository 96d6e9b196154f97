"""Facts, methods and changes of advice in plain words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.facts import TaskFacts

METHODS = {
    "zero_shot": "asking a model, without examples (zero-shot)",
    "few_shot": "asking a model, with a few examples in the prompt",
    "features": "feature extraction", "top_layers": "fine-tuning the top layers", "gradual": "gradual unfreezing",
    "full": "full fine-tuning", "lora": "LoRA", "scratch": "training from scratch",
}  # fmt: skip
NAMES = {
    "n_labelled": "labelled examples", "per_class": "examples per class", "n_classes": "classes",
    "modality": "kind of data", "task": "task", "domain": "domain", "complexity": "complexity",
    "similarity": "similarity to the pre-training data",
    "compute": "compute", "memory_gib": "memory in GiB", "real_time": "real time", "target": "where it runs",
    "language": "language", "llm": "a language model at hand", "keep_old_skills": "keeping old skills",
    "old_data": "data of the old task", "priority": "priority", "high_impact": "high impact", "test_set": "test set",
    "several_objects": "several objects per image", "high_resolution": "high resolution", "deployment": "deployment",
    "image_size": "image size", "input_length": "input length", "max_parameters": "largest model",
    "learning_rate": "learning rate", "base_model": "model to start from", "data": "data", "frozen": "frozen features",
}  # fmt: skip
_VALUES: dict[str, Mapping[Any, str]] = {
    "modality": {"text": "text", "image": "images", "image+text": "images with text", "series": "series"},
    "task": {"ner": "named entities"},
    "similarity": {"same": "like the pre-training data", "moderate": "somewhat unlike the pre-training data",
                   "different": "very unlike the pre-training data"},
    "complexity": {"simple": "simple task", "medium": "medium complexity", "complex": "complex task"},
    "compute": {"none": "nothing to train on", "cpu": "no GPU", "gpu": "one GPU", "multi_gpu": "several GPUs",
                "cluster": "cluster"},
    "real_time": {True: "real time", False: "not real time"},
    "target": {"edge": "runs on a small device", "server": "runs on a server"},
    "llm": {True: "a language model can be asked", False: "no language model"},
    "keep_old_skills": {True: "must not forget", False: "may forget"},
    "old_data": {True: "old data at hand", False: "old data gone"},
    "priority": {"speed": "speed first", "balance": "balance of speed and accuracy", "accuracy": "accuracy first",
                 "simplicity": "simplicity first", "small_model": "small model first",
        "deep": "many layers first", "multi_scale": "several scales first"},
    "high_impact": {True: "wrong answers do harm", False: "wrong answers do no harm"},
    "test_set": {True: "test set at hand", False: "no test set"},
    "several_objects": {True: "several objects per image", False: "one object per image"},
    "high_resolution": {True: "high resolution", False: "low resolution"},
    "frozen": {"enough": "frozen features are enough", "helps": "frozen features help",
               "falls_short": "frozen features fall short",
               "no_better": "frozen features are no better than the controls",
               "unclear": "too few rows to tell what frozen features do"},
    "deployment": {True: "others will use it", False: "not for others"},
}  # fmt: skip
_NUMBERS: dict[str, Callable[[Any], str]] = {
    "n_labelled": lambda n: f"{n:,} labelled" if n else "no labels",
    "per_class": "{:,} per class".format,
    "n_classes": "{:,} classes".format,
    "memory_gib": "{:g} GiB of memory".format,
    "image_size": "{:,} pixels".format,
    "input_length": "{:,} tokens".format,
    "max_parameters": "at most {:,} parameters".format,
    "learning_rate": "learning rate {:g}".format,
    "language": "language {}".format,
    "base_model": "starting from {}".format,
    "data": "data in {}".format,
}
_ORDER = ("n_labelled", "per_class", "n_classes", "modality", "domain", "task", "compute", "memory_gib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one part of the advice: "method", "model", "protections", ... `before` and `after` in words."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before} -> {self.after}"


def describe(facts: TaskFacts) -> str:
    """The facts that are known, in words.

    Example:
        >>> describe(TaskFacts(n_labelled=80, modality="image", domain="x-ray", compute="cpu"))
        '80 labelled, images, x-ray, no GPU'
    """
    known = facts.known
    names = [*(name for name in _ORDER if name in known), *(name for name in known if name not in _ORDER)]
    return ", ".join(say(name, known[name]) for name in names)


def say(fact: str, value: Any) -> str:
    """One fact in words; "not known" for None.

    Example:
        >>> say("compute", "cpu"), say("n_labelled", 20000)
        ('no GPU', '20,000 labelled')
    """
    if value is None:
        return "not known"
    if fact in _NUMBERS:
        return _NUMBERS[fact](value)
    return _VALUES.get(fact, {}).get(value, str(value).replace("_", " "))


def changes(before: Advice, after: Advice) -> tuple[Change, ...]:
    """What differs between two pieces of advice, of method, first model, protections and hyper-parameters.

    Example:
        >>> old, new = (Advice(facts=TaskFacts(), method=method, depth=1) for method in ("features", "full"))
        >>> [(change.what, change.after) for change in changes(old, new)]
        [('method', 'full fine-tuning')]
    """
    parts = (("method", _method), ("model", _model), ("protections", _protections))
    found = [(what, part(before), part(after)) for what, part in parts]
    found.append(("settings", _settings(before, after), _settings(after, before)))
    return tuple(Change(what=what, before=old, after=new) for what, old, new in found if old != new)


def _method(advice: Advice) -> str:
    return METHODS.get(advice.method, advice.method)


def _model(advice: Advice) -> str:
    return advice.models[0].name if advice.models else "none"


def _protections(advice: Advice) -> str:
    return ", ".join(each.replace("_", " ") for each in advice.protections) or "none"


def _settings(advice: Advice, other: Advice) -> str:
    """The settings that `other` has not, or has otherwise."""
    own = {name: value for name, value in advice.hyperparameters.items() if other.hyperparameters.get(name) != value}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in own.items()) or "none"


def summary(advice: Advice) -> str:
    """The advice in two or three sentences.

    Example:
        >>> summary(Advice(facts=TaskFacts(), method="features", depth=1))
        'Advice: feature extraction.'
    """
    start = f", starting from {advice.models[0].name}" if advice.models else ""
    lines = [f"Advice: {_method(advice)}{start}."]
    lines += [f"Why: {reason.text} ({reason.rule}, {reason.source})" for reason in advice.reasons[:1]]
    lines += [f"Careful: {warning.text}" for warning in advice.warnings[:1]]
    return "\n".join(lines)
