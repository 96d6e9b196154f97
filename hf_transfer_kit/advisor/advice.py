"""Advice: what to do, why, what would change it; in JSON the public format of `transfer-kit advise --json`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hf_transfer_kit.advisor.evidence import Evidence
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.values import check_format, from_mapping, to_mapping

FORMAT, VERSION = "hf_transfer_kit.advice", 1
DEPTHS = (  # how deep training reaches into the model
    "prompt or in-context", "feature extraction", "top layers", "more layers, by gradual unfreezing", "all layers",
    "from scratch",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why: the rule's id, the guide or paper it stands on, and a sentence."""

    rule: str
    source: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """What may go wrong: the rule's id and a sentence."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAdvice:
    """A model to start from.

    Fields:
        name: as people call it: "ResNet-50".
        hub_id: on the Hub; None where it is an API alone, or has no checkpoint there.
        family: "ResNet".
        parameters: count; None where nobody has published it.
        licence: as on its card; "gated: ..." where it has to be asked for.
        memory_mib: estimated memory to train it with the advised method; None where that is not known.
        why: a sentence.
    """

    name: str
    hub_id: str | None
    family: str
    parameters: int | None
    licence: str
    memory_mib: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another way: a method of `compare`, and when it is the better one."""

    method: str
    text: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A change of one fact that changes the method."""

    fact: str
    value: Any
    method: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to ask next: the fact, the question, and two to five quick replies; "I don't know" is always possible."""

    fact: str
    text: str
    replies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do.

    Fields:
        facts: what it rests on.
        method: an approach of `compare`: zero_shot, few_shot, features, top_layers, gradual, full, lora, scratch.
        depth: 0 to 5, see `DEPTHS`.
        models: to start from, the first one first.
        hyperparameters: learning_rate, head_learning_rate, epochs, batch_size, ...; plain values.
        protections: early_stopping, low_learning_rate, weight_decay, dropout, replay, gradual_unfreezing, ewc, l2sp.
        baseline: what it must beat, a sentence.
        evaluation: how to measure, sentences.
        warnings, reasons, alternatives, flips: see there.
        next_question: what would change the advice most; None where nothing would.
        plan: a plan for `transfer-kit run`, as plain values; None where the kit has no such task.
        evidence: what was measured on the person's data; None where nothing was.
        notes: what was not understood, could not be measured or looked up.
    """

    facts: TaskFacts
    method: str
    depth: int
    models: tuple[ModelAdvice, ...] = ()
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    protections: tuple[str, ...] = ()
    baseline: str = ""
    evaluation: tuple[str, ...] = ()
    warnings: tuple[Warned, ...] = ()
    reasons: tuple[Reason, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    flips: tuple[Flip, ...] = ()
    next_question: Question | None = None
    plan: dict[str, Any] | None = None
    evidence: Evidence | None = None
    notes: tuple[str, ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """As plain values, with `format` and `version` first."""
        return {"format": FORMAT, "version": VERSION} | dict(to_mapping(self))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "advice") -> "Advice":
        """The advice in `mapping`; raises FormatError or PlanError where it is none."""
        return from_mapping(cls, check_format(mapping, name=FORMAT, version=VERSION, where=where), where)
