"""Learning rates and the rest: body 1e-5 to 1e-4, BERT family 2e-5 to 5e-5, new heads and adapters 1e-3."""

from typing import Any

from hf_transfer_kit.advisor.deciding.decision import Decision
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.models import KnownModel
from hf_transfer_kit.plan import Training

HEAD_RATE = 1e-3  # of new weights: heads and adapters have nothing to forget
DECAY = 0.95  # of the rate, per block downwards
SHOTS = 16
RESNET_TOP_RATE = 1e-5  # of the top layers of a ResNet, as the guide's code has it
IMAGE_RATE = 1e-4  # of other bodies for pictures: the default of `compare`, at the upper end of the guides' range
TEXT_RATE, CAREFUL_TEXT_RATE, CAREFUL_RATE = 5e-5, 2e-5, 1e-5
SCRATCH_RATES = {"text": 5e-4, "image": 1e-3}


def hyperparameters(facts: TaskFacts, decision: Decision) -> dict[str, Any]:
    """The settings of the advised method, as plain values."""
    situation, model = decision.situation, decision.models[0]
    if decision.method in ("zero_shot", "few_shot"):
        return {"examples_in_prompt": 0 if decision.method == "zero_shot" else min(SHOTS, situation.labels or SHOTS)}
    if decision.method == "features":
        return _on_frozen(situation.task) | _head_of(model, facts)
    settings: dict[str, Any] = {"learning_rate": body_rate(facts, decision), "head_learning_rate": HEAD_RATE}
    if decision.method == "top_layers":
        settings |= {"blocks": model.top_blocks, "decay": DECAY}
    if decision.method in ("gradual", "full"):
        settings |= {"decay": DECAY}
    if decision.method == "gradual":
        settings |= {"order": "top_down", "opening_share": 0.5}
    if decision.method == "lora":
        settings |= {"rank": 8, "alpha": 16}
    if decision.method == "scratch" or situation.generative:  # no weights but those of the model itself
        settings.pop("head_learning_rate")
    loop = Training()  # the plan's own
    settings |= {"optimizer": "AdamW", "weight_decay": weight_decay(decision), "epochs": loop.epochs}
    return settings | {"patience": loop.patience, "batch_size": loop.batch_size}


def body_rate(facts: TaskFacts, decision: Decision) -> float:
    """The rate of pre-trained weights: the person's own where it is within the range, else the usual one."""
    method, text = decision.method, decision.situation.modality == "text" or decision.situation.kind == "encoder"
    if method == "scratch":
        return SCRATCH_RATES.get(decision.situation.modality or "", 1e-3)
    if method == "lora":
        return HEAD_RATE
    if decision.situation.rate == "ok" and facts.learning_rate is not None:
        return facts.learning_rate
    if decision.situation.keep_old_skills:
        return CAREFUL_TEXT_RATE if text else CAREFUL_RATE
    if method == "top_layers" and decision.models[0].family == "ResNet":
        return RESNET_TOP_RATE
    return TEXT_RATE if text else IMAGE_RATE


def weight_decay(decision: Decision) -> float:
    """1e-4 for convolutional networks, as the guide's code has it; else 0.01."""
    return 1e-4 if decision.situation.kind == "cnn" else 0.01


def _on_frozen(task: str | None) -> dict[str, Any]:
    """What learns on top of a frozen model."""
    if task in ("detection", "segmentation"):
        part = "decoder" if task == "segmentation" else "detection head"
        return {"trained": part, "head_learning_rate": HEAD_RATE, "optimizer": "AdamW"}
    numbers = task in ("regression", "forecasting")
    return {"classifier": "ridge regression" if numbers else "logistic regression", "layer": "auto"}


def _head_of(model: KnownModel, facts: TaskFacts) -> dict[str, Any]:
    """The head that the guide trains on a frozen ResNet-50."""
    if model.head_width is None or facts.task not in (None, "classification"):
        return {}
    classes = facts.n_classes or "n"
    return {"head": f"Linear({model.head_width}, {classes})", "optimizer": "Adam", "head_learning_rate": HEAD_RATE}
