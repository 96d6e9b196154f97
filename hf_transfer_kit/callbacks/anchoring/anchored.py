"""What EWC and L2-SP share: an anchor taken when training begins, kept for resumption, pulled at after every step."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from torch import nn
from torch.optim import SGD, Adam, AdamW

from hf_transfer_kit.anchor import Anchor, Pull
from hf_transfer_kit.callbacks.hosting.host import Host, HostedCallback
from hf_transfer_kit.callbacks.hosting.kept import find_again, keep, note
from hf_transfer_kit.errors import PlanError, did_you_mean

Mode = Literal["decoupled", "exact"]
MODES = ("decoupled", "exact")


class AnchoredCallback(HostedCallback):
    """Pulls weights towards an anchor; subclasses say which in `_anchor`."""

    name: str  # of the file to resume with, and of the logged penalty

    def __init__(self, strength: float, mode: Mode) -> None:
        title = type(self).__name__
        if not (math.isfinite(strength) and strength >= 0):
            raise PlanError(f"{title} strength={strength} must be 0 or more; use 0 to switch the pull off.")
        if mode not in MODES:
            raise PlanError(f"{title} mode={mode!r} is unknown; {did_you_mean(str(mode), MODES)}")
        self.strength, self.mode = strength, mode
        self._host: Host | None = None
        self._pull: Pull | None = None

    def on_train_begin(self, args, state, control, model, optimizer, train_dataloader, **kwargs):
        self._host = self._pull = None
        if self.strength == 0:
            return
        host = self.enter(args, state, model, optimizer, train_dataloader)
        _check_optimizer(type(self).__name__, optimizer, self.mode)
        parameters = host.trainable()
        if host.resumed_from is None:
            anchor = self._anchor(host, parameters)
            keep(host, self.name, anchor.to_tensors())
        else:  # never from the model, which has moved on
            anchor = Anchor.from_tensors(find_again(host, self.name))
        self._host = host
        self._pull = Pull(anchor, parameters, strength=self.strength, exact=self.mode == "exact")

    def on_optimizer_step(self, args, state, control, optimizer, **kwargs):
        # A step whose float16 gradients overflowed did not happen.
        if self._pull is not None and not getattr(optimizer, "step_was_skipped", False):
            self._pull.apply(optimizer)

    def on_step_end(self, args, state, control, **kwargs):
        if self._host is not None and self._pull is not None and control.should_log:
            self._host.log({f"{self.name}_penalty": self._pull.penalty()}, control)

    def on_save(self, args, state, control, **kwargs):
        if self._host is not None:
            note(self._host, self.name)

    def _anchor(self, host: Host, parameters: Mapping[str, nn.Parameter]) -> Anchor:
        """The anchor of a training that starts afresh, for those of `parameters` that are not free."""
        raise NotImplementedError


def _check_optimizer(callback: str, optimizer: Any, mode: str) -> None:
    """Raises PlanError where the pull cannot be as long as the optimizer's steps."""
    inner = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
    if any(group.get("lr") is None or group.get("relative_step") for group in inner.param_groups):
        raise PlanError(
            f"{callback} needs a learning rate, but {type(inner).__name__} chooses its own; give it one "
            "(Adafactor: relative_step=False)."
        )
    # For SGD, which divides by nothing, both modes are the same.
    if mode == "exact" and not isinstance(inner, SGD | Adam | AdamW):
        raise PlanError(
            f"{callback} mode='exact' divides the pull by Adam's second moments, which {type(inner).__name__} has "
            "not; use mode='decoupled'."
        )
