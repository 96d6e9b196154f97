"""One forward and backward pass for a whole batch, with each example's weight gradients taken on the way.

The weights are frozen, so that autograd computes the gradients of activations only; a layer's weight gradients are
made from its input and the gradient of its output, one example at a time, and squared at once. They replace those that
autograd would have made, which is why this costs little more than an ordinary backward pass.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

from hf_transfer_kit.fisher.batches import Batch
from hf_transfer_kit.fisher.own_loss import OwnLoss
from hf_transfer_kit.fisher.rules import Call, Gradient, NotPerExampleError, accumulate, added, may_be_broadcast


class BatchedPass:
    """Adds up per-example gradients of the parameters named in `totals`; a context that removes its hooks.

    Attributes:
        failed: names of parameters whose examples could not be told apart; their totals mean nothing.
        half: whether gradients in half precision were met, from the weights or from autocast.
    """

    def __init__(self, model: nn.Module, own_loss: OwnLoss, totals: Mapping[str, torch.Tensor], power: int):
        self.failed: set[str] = set()
        self.half = False
        self._model, self._own_loss, self._totals, self._power = model, own_loss, totals, power
        self._names = {id(parameter): name for name, parameter in model.named_parameters() if name in totals}
        self._uses: Counter[str] = Counter()  # of each parameter in this forward pass
        self._pending: dict[str, list[Iterable[Gradient]]] = {}  # of those used more than once
        self._examples = 0
        self._paused = False
        self._hooks = ExitStack()

    def __enter__(self) -> Self:
        for module in self._model.modules():
            own = {local: self._names[id(p)] for local, p in module._parameters.items() if id(p) in self._names}
            if own:
                hook = module.register_forward_hook(partial(self._after_forward, own), with_kwargs=True)
                self._hooks.callback(hook.remove)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.close()

    def add(self, batch: Batch) -> None:
        """One pass over `batch`; `totals` grow by the sum over its examples."""
        for parameter in self._model.parameters():
            parameter.requires_grad_(False)
        self._uses.clear()
        self._examples = len(batch)
        with torch.enable_grad():
            losses = self._own_loss(self._model(**batch.inputs), batch)
            for later, loss in zip(reversed(range(len(losses))), losses, strict=True):
                if loss.requires_grad:
                    loss.sum().backward(retain_graph=later > 0)
                for name in list(self._pending):
                    self._finish(name)

    def _after_forward(
        self, own: dict[str, str], module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> torch.Tensor | None:
        if self._paused:
            return None
        if not isinstance(output, torch.Tensor) or not output.is_floating_point() or not torch.is_grad_enabled():
            self.failed.update(own.values())
            return None
        if may_be_broadcast(module) and len(output) == 1:
            output = output.expand(self._examples, *output.shape[1:])  # else the examples' gradients come added up
        if not output.requires_grad:
            output = output.detach().requires_grad_().clone()  # a clone may be written to, a leaf may not
        self._uses.update(own.values())
        arguments = tuple(map(_detached, arguments))
        keywords = {name: _detached(value) for name, value in keywords.items()}

        def after_backward(gradient: torch.Tensor) -> None:
            self.half |= gradient.dtype in (torch.float16, torch.bfloat16)
            call = Call(
                module=module, arguments=arguments, keywords=keywords, output_gradient=gradient,
                examples=self._examples,
            )  # fmt: skip
            for local, name in own.items():
                self._guarded(name, partial(self._arrived, name, call, local))

        output.register_hook(after_backward)
        return output

    def _arrived(self, name: str, call: Call, local: str) -> None:
        gradients = call.gradients(local)
        if self._uses[name] > 1:
            self._pending.setdefault(name, []).append(gradients)
            return
        for gradient in gradients:
            accumulate(self._totals[name], gradient, self._power)

    def _finish(self, name: str) -> None:
        """Adds the gradients from all uses of a parameter, example by example, and only then squares."""
        uses, total = self._pending.pop(name), self._totals[name]

        def accumulate_all() -> None:
            for gradients in zip(*uses, strict=True):
                accumulate(total, added(gradients, total), self._power)

        self._guarded(name, accumulate_all)

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        """Does `work` for a parameter, or notes that its rule does not fit."""
        if name in self.failed:
            return
        self._paused = True  # a layer may be run again
        try:
            work()
        except (NotPerExampleError, RuntimeError, TypeError):  # left to the pass over single examples
            self.failed.add(name)
        finally:
            self._paused = False


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value
