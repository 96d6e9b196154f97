"""What is compared: each method says what trains, which callbacks join a training, and what happens after it."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from peft import LoraConfig, TaskType, get_peft_model
from transformers import TrainerCallback

from benchmarks.forgetting.class_means import NAME
from benchmarks.forgetting.upper_blocks import Row
from hf_transfer_kit import EWC, L2SP, GradualUnfreezing, Replay, interpolate
from hf_transfer_kit.approaches.build import lora_targets

Rows = Sequence[Row]


class Method:
    """One way through the sequence of domains; plain fine-tuning where nothing is overridden. Made anew for each run.

    Attributes:
        learning_rate: of what trains below the head.
        own_labels: whether the loss is over the labels of the domain alone, instead of all.
    """

    learning_rate = 1e-4
    own_labels = False

    def start(self, model: Any) -> Any:
        """The model to train, before the first domain."""
        return model

    def callbacks(self, model: Any, old: Rows) -> list[TrainerCallback]:
        """For the next training; `old` are the training rows of all earlier domains, none at first."""
        return []

    def finish(self, model: Any, new: Rows) -> Any:
        """The model that goes on, after a domain was learned from `new`."""
        return model


class Plain(Method):
    """Fine-tuning on one domain after another."""


class Gradual(Method):
    """In each domain the head first, then one block more after every epoch."""

    def callbacks(self, model, old):
        return [GradualUnfreezing()]


class FrozenBody(Method):
    """Only the head trains: it forgets by itself."""

    def start(self, model):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith("classifier."))
        return model


class FullEwc(Method):
    """Importance for the rows of all earlier domains, estimated again before each training: needs those rows."""

    def __init__(self, strength: float):
        self._strength = strength

    def callbacks(self, model, old):
        return [EWC(old, strength=self._strength)] if old else []


class OnlineEwc(Method):
    """Importance added up from domain to domain: no old rows are kept."""

    def __init__(self, strength: float):
        self._strength = strength
        self._ewc: EWC | None = None

    def callbacks(self, model, old):
        if self._ewc is None and old:  # those of the first domain
            self._ewc = EWC(old, strength=self._strength)
        return [self._ewc] if self._ewc is not None else []

    def finish(self, model, new):
        if self._ewc is not None:
            self._ewc = self._ewc.after_task(model, new)
        return model


class OwnLabels(Method):
    """The softmax of the loss is over the labels at hand: no step pushes the outputs of other domains down.

    Source: Zeno et al. 2018, "Task Agnostic Continual Learning Using Online Variational Bayes" (arXiv:1803.10123),
    the "labels trick".
    """

    own_labels = True


class OwnLabelsEwc(FullEwc):
    """The same with EWC."""

    own_labels = True


class StartPull(Method):
    """L2-SP: towards the weights at the start of each domain."""

    def __init__(self, strength: float):
        self._strength = strength

    def callbacks(self, model, old):
        return [L2SP(strength=self._strength)] if old else []


class OldRows(Method):
    """Replay: a share of every batch from the rows of all earlier domains; `distill` > 0 is DER++."""

    def __init__(self, ratio: float, distill: float = 0.0):
        self._ratio, self._distill = ratio, distill

    def callbacks(self, model, old):
        return [Replay(old, ratio=self._ratio, distill=self._distill)] if old else []


class Adapters(OldRows):
    """LoRA: one adapter on every linear layer, and the head, trained on from domain to domain; with replay or not."""

    learning_rate = 1e-3  # the kit's own for LoRA

    def __init__(self, ratio: float = 0.0):
        super().__init__(ratio)

    def start(self, model):
        config = LoraConfig(
            r=8, lora_alpha=16, lora_dropout=0.0, target_modules=lora_targets(model, ["classifier"]),
            modules_to_save=["classifier"], task_type=TaskType.SEQ_CLS,
        )  # fmt: skip
        return get_peft_model(model, config)


class Averaged(Method):
    """WiSE-FT after each domain: a point between the weights before and after it."""

    def __init__(self, alpha: float):
        self._alpha = alpha
        self._before: Any = None

    def callbacks(self, model, old):
        self._before = copy.deepcopy(model.state_dict()) if old else None
        return []

    def finish(self, model, new):
        return model if self._before is None else interpolate(model, self._before, self._alpha)


class ClassMeans(Method):
    """Stands for `class_means`, which goes another way."""


class Joint(Method):
    """All domains at once: what no method that sees them one after another is expected to beat."""


# By name: the method, and the settings of which one is chosen on validation rows (none: there is nothing to choose).
METHODS: dict[str, tuple[Callable[..., Method], tuple[float, ...]]] = {
    "plain": (Plain, ()),
    "gradual unfreezing": (Gradual, ()),
    "EWC": (FullEwc, (10.0, 100.0, 1e3)),
    "online EWC": (OnlineEwc, (10.0, 100.0, 1e3)),
    "L2-SP": (StartPull, (10.0, 100.0)),
    "interpolation": (Averaged, (0.3, 0.5, 0.7)),
    "replay 1 %": (partial(OldRows, 0.01), ()),
    "replay 5 %": (partial(OldRows, 0.05), ()),
    "replay 10 %": (partial(OldRows, 0.1), ()),
    "replay 50 %": (partial(OldRows, 0.5), ()),
    "replay 10 % + DER++": (partial(OldRows, 0.1), (0.1, 1.0)),
    "LoRA": (Adapters, ()),
    "LoRA + replay 10 %": (partial(Adapters, 0.1), ()),
    "head only": (FrozenBody, ()),
    NAME: (ClassMeans, ()),
    "own labels": (OwnLabels, ()),
    "own labels + EWC": (partial(OwnLabelsEwc, 100.0), ()),
    "joint": (Joint, ()),
}
