"""Lets newly opened parameters start with small updates, for any optimizer.

    w <- w + (k + 1) / (steps + 1) * (update of the optimizer),   k = 0, 1, ... steps since it opened

The update is scaled after the optimizer has made it, so its groups and its state stay as they are, and the scale is
exact for all of them. It happens inside `optimizer.step()`: before any other callback's `on_optimizer_step`, in
whatever order they are, and not at all where a gradient scaler skips the step.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn


class WarmUp:
    """Scales the updates of parameters that opened less than `steps` optimizer steps ago.

    Cost: a copy of the parameters that are being warmed up, during the step.
    """

    def __init__(self, optimizer: Any, steps: int):
        self._steps = steps
        self._scaled: list[tuple[float, list[nn.Parameter]]] = []
        self._before: list[list[torch.Tensor]] = []
        # Accelerate wraps the optimizer, and calls the wrapped one only when the step is not skipped.
        inner = getattr(optimizer, "optimizer", optimizer)
        self._hooks = [inner.register_step_pre_hook(self._remember), inner.register_step_post_hook(self._scale)]

    def prepare(self, step: int, opened: Iterable[tuple[int, Sequence[nn.Parameter]]]) -> None:
        """Says what opened when, before optimizer step number `step` (counted from 0)."""
        self._scaled = [
            ((step - start + 1) / (self._steps + 1), list(parameters))
            for start, parameters in opened
            if step - start < self._steps
        ]

    def remove(self) -> None:
        """Leaves the optimizer as it was."""
        for hook in self._hooks:
            hook.remove()

    def _remember(self, *_: Any) -> None:
        self._before = [[p.detach().clone() for p in parameters] for _, parameters in self._scaled]

    @torch.no_grad()
    def _scale(self, *_: Any) -> None:
        for (share, parameters), before in zip(self._scaled, self._before, strict=True):
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(torch.lerp(old, parameter, share))
        self._before = []
