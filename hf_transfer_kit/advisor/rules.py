"""advise: facts of a task -> what to do, why, and what would change it. Pure, deterministic, without any model.

The method and the models are decided first (`decision`); the rules of knowledge.toml that hold then say why. Where no
rule's condition holds, nothing is said: there is no sentence without a rule behind it.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hf_transfer_kit.advisor.advice import Advice, Alternative, Reason, Warned
from hf_transfer_kit.advisor.deciding.asking import next_question
from hf_transfer_kit.advisor.deciding.candidates import PROMPTED
from hf_transfer_kit.advisor.deciding.decision import Decision, decide
from hf_transfer_kit.advisor.deciding.disagreements import disagreements
from hf_transfer_kit.advisor.deciding.flips import flips
from hf_transfer_kit.advisor.deciding.hyperparameters import hyperparameters
from hf_transfer_kit.advisor.deciding.planned import plan_of, planned_model
from hf_transfer_kit.advisor.deciding.protecting import protections
from hf_transfer_kit.advisor.evidence import Evidence
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf, known_memory
from hf_transfer_kit.advisor.knowledge.rule_table import Rule, rule, rules
from hf_transfer_kit.advisor.told import told

GROUPS = "MBAXEFGDCIHJKQ"  # reasons are told in this order: size, similarity, contradictions, models, and so on


def advise(
    facts: TaskFacts | Mapping[str, Any] | str, *, memory_of: MemoryOf = known_memory,
    asked: Collection[str] | None = None, evidence: Evidence | None = None,
) -> Advice:  # fmt: skip
    """What to do about a task, with reasons, warnings, alternatives, flip points, the next question and a plan.

    The same facts give the same advice, in a few milliseconds; nothing is loaded, measured or looked up.

    Args:
        facts: what is known, as `TaskFacts`, a mapping of its fields, or free text; where something is not known
            nothing is guessed at, the safer branch is kept and said so.
        memory_of: MiB that a model needs with a method; candidates that need more than `facts.memory_gib` are refused.
        asked: facts that were asked for already, answered or not (see `next_question`).
        evidence: what was measured on the person's data; where it disagrees with the rules, it is followed.

    Raises:
        PlanError: a fact is unknown, or has a value that cannot be.

    Example:
        >>> advice = advise(TaskFacts(modality="image", domain="wildlife", n_labelled=80, similarity="same"))
        >>> advice.method, advice.models[0].name, advice.reasons[0].rule
        ('features', 'ResNet-50', 'B1')
    """
    said = told(facts)
    facts = said if evidence is None else evidence.added_to(said)
    decision = decide(facts, memory_of)
    plan = plan_of(facts, decision)
    reasons, warnings = _reasons(decision), (*_warnings(decision), *_warnings_on_the_plan(decision))
    if evidence is not None:
        followed = disagreements(said, decide(said, memory_of), decision, evidence)
        reasons = (*(rule("M4").as_reason(text) for text in followed), *reasons)
        warnings = (*(rule("M5").as_warning(text) for text in evidence.cautions), *warnings)
    return Advice(
        facts=said, method=decision.method, depth=decision.situation.depth or 0,
        models=tuple(model.as_advice(memory_of(model, decision.method)) for model in decision.models),
        hyperparameters=hyperparameters(facts, decision), protections=protections(decision.situation),
        baseline=_baseline(decision), warnings=warnings, reasons=reasons,
        evaluation=tuple(each.says for each in _holding(decision, "evaluation")),
        alternatives=_alternatives(decision), flips=flips(facts, memory_of),
        next_question=next_question(facts, memory_of, asked), plan=None if plan is None else plan.to_mapping(),
        evidence=evidence,
    )  # fmt: skip


def _holding(decision: Decision, shown: str) -> Iterator[Rule]:
    families = {model.family for model in decision.models}
    for each in rules().values():
        if each.shown != shown or each.when is None or not each.when.holds(decision.situation):
            continue
        if not each.good or families.intersection(each.good):  # praise is for models that are offered
            yield each


def _reasons(decision: Decision) -> tuple[Reason, ...]:
    """Why this method, then why these models, then the rest."""
    behind = [rule(id) for id in decision.rules]
    behind += [rule(model.rule) for model in decision.models[:1] if model.rule]
    found = {each.id: each.as_reason() for each in (*behind, *_holding(decision, "reason")) if each.shown == "reason"}
    return tuple(sorted(found.values(), key=lambda reason: _place(reason.rule)))


def _place(id: str) -> int:
    """B8 to B11 name models, and stand with those."""
    return GROUPS.index("E" if id in ("B8", "B9", "B10", "B11") else id[0])


def _warnings(decision: Decision) -> Iterator[Warned]:
    yield from (each.as_warning() for each in _holding(decision, "warning"))
    yield from decision.refused
    if decision.too_large:
        tried = f"No candidate fits into the memory with {', '.join(decision.too_large)}"
        yield rule("F9").as_warning(f"{tried}: {decision.method} is advised instead.")
    for model in decision.models:
        if model.licence.startswith("gated") or "no commercial use" in model.licence:
            yield rule("F3").as_warning(f"{model.name}: check its licence first ({model.licence}).")
        if model.hub_id is None and model.kind == "language_model":
            yield rule("F4").as_warning(f"{model.name} can only be asked over its API; it cannot be fine-tuned here.")


def _warnings_on_the_plan(decision: Decision) -> Iterator[Warned]:
    planned = planned_model(decision)
    if decision.situation.in_kit and planned is not None and planned is not decision.models[0]:
        said = f"The plan starts from {planned.name}: `transfer-kit run` does not load {decision.models[0].name}."
        yield rule("KIT7").as_warning(said)


def _alternatives(decision: Decision) -> tuple[Alternative, ...]:
    """Other methods that a rule of this situation names, each once, where they are not the advised one."""
    found: dict[str, Alternative] = {}
    for each in rules().values():
        other = each.alternative
        if other is None or each.when is None or other == decision.method or other in found:
            continue
        if each.when.holds(decision.situation):
            found[other] = Alternative(method=other, text=each.says, rule=each.id)
    return tuple(found.values())


def _baseline(decision: Decision) -> str:
    """What the advised method must beat."""
    situation, parts = decision.situation, []
    if situation.task in (None, "classification", "multi_label"):
        simple = {"text": "TF-IDF with logistic regression", "image": "raw pixels with logistic regression"}
        parts = [
            "the most frequent answer",
            *(text for modality, text in simple.items() if modality == situation.modality),
        ]
    if situation.modality == "series":
        parts = ["the last value carried forward"]
    if situation.wordable:
        asked = decision.method in PROMPTED
        parts.append(
            "the same question to a smaller model" if asked else "a prompt without and with examples, run first"
        )
    if (situation.depth or 0) >= 2:
        parts += [] if situation.generative else ["frozen features"]
        parts.append("a randomly initialised copy of the model")
    parts = parts or ["the pre-trained model as it is"]
    return "It must beat " + "; ".join(parts) + "."
