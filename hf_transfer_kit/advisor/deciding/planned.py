"""Advice as a plan that `transfer-kit run` takes."""

from dataclasses import replace
from typing import Any

from hf_transfer_kit.advisor.deciding.decision import Decision
from hf_transfer_kit.advisor.deciding.hyperparameters import DECAY, HEAD_RATE, SHOTS, body_rate, weight_decay
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.models import KnownModel
from hf_transfer_kit.plan import (
    Approach,
    DataSpec,
    Features,
    FewShot,
    Full,
    Gradual,
    L2spSettings,
    Lora,
    ModelSpec,
    Protection,
    ReplaySettings,
    Scratch,
    TopLayers,
    Training,
    TransferPlan,
    ZeroShot,
)
from hf_transfer_kit.plan.approaches import PROTECTABLE
from hf_transfer_kit.plan.specs import YOUR_DATA, YOUR_OLD_DATA


def plan_of(facts: TaskFacts, decision: Decision) -> TransferPlan | None:
    """The advice as a plan; None where the kit has no such task, or cannot load any of the models."""
    model = planned_model(decision)
    if not decision.situation.in_kit or model is None:
        return None
    approach = _approach(facts, decision, model)
    data = DataSpec(path=facts.data or YOUR_DATA, task=f"{decision.situation.modality}-classification")
    if facts.input_length is not None and decision.situation.modality == "text":
        data = replace(data, max_length=max(facts.input_length, 2))
    protection, old_data = _protection(decision, approach, data)
    return TransferPlan(
        data=data, model=ModelSpec(name=str(model.hub_id)), approach=approach, training=_training(decision),
        old_data=old_data, protection=protection,
    )  # fmt: skip


def planned_model(decision: Decision) -> KnownModel | None:
    """The first advised model that `transfer-kit run` can load."""
    return next((model for model in decision.models if model.kit and model.hub_id is not None), None)


def to_fill_in(plan: TransferPlan) -> tuple[str, ...]:
    """What has to be written into `plan` before it runs, a sentence each.

    Example:
        >>> to_fill_in(TransferPlan(data=DataSpec(path=YOUR_DATA), model=ModelSpec(name="m"), approach=Full()))
        ('Before you run it, write the path or Hub name of your data in the place of YOUR_DATA (data.path).',)
    """
    return tuple(
        f"Before you run it, write the path or Hub name of {words} in the place of {spec.path} ({name}.path)."
        for words, name, spec in (("your data", "data", plan.data), ("your old data", "old_data", plan.old_data))
        if spec is not None and spec.path in (YOUR_DATA, YOUR_OLD_DATA)
    )


def _approach(facts: TaskFacts, decision: Decision, model: KnownModel) -> Approach:
    method = decision.method
    if method == "zero_shot":
        return ZeroShot()
    if method == "few_shot":
        return FewShot(shots=min(SHOTS, decision.situation.labels or SHOTS))
    if method == "features":
        return Features()
    rate = body_rate(facts, decision)
    rates: dict[str, Any] = {"learning_rate": rate, "head_learning_rate": HEAD_RATE}
    if method == "scratch":
        return Scratch(learning_rate=rate)
    if method == "lora":
        return Lora(**rates)
    if method == "top_layers":
        return TopLayers(blocks=model.top_blocks, decay=DECAY, **rates)
    return (Gradual if method == "gradual" else Full)(decay=DECAY, **rates)


def _training(decision: Decision) -> Training:
    """The kit's usual loop, which stops early; the model's own dropout where old skills are to be kept."""
    usual = Training(weight_decay=weight_decay(decision))
    return replace(usual, dropout=None) if decision.situation.keep_old_skills else usual


def _protection(decision: Decision, approach: Approach, data: DataSpec) -> tuple[Protection, DataSpec | None]:
    """Replay where there are old data, read like `data`, else the pull to the start weights, which needs none."""
    if not decision.situation.keep_old_skills or not isinstance(approach, PROTECTABLE):
        return Protection(), None
    if decision.situation.old_data:
        return Protection(replay=ReplaySettings()), replace(data, path=YOUR_OLD_DATA)
    return Protection(l2sp=L2spSettings()), None
