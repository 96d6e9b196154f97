"""Weights to stay near, how important each is, and the pull towards them in closed form.

    penalty = strength / 2 * sum_i F_i (w_i - w_i^start)^2

F = 1 is L2-SP (Li et al. 2018, arXiv:1802.01483), F = the diagonal Fisher information is elastic weight consolidation
(Kirkpatrick et al. 2017, arXiv:1612.00796). Importance is scaled to a mean of 1 over all anchored weights, so that a
strength means the same for every model, batch size and number of examples.

Instead of adding the gradient of the penalty to that of the loss, the pull follows the optimizer's step and solves for
the penalty exactly (a proximal step):

    w <- (w + c w^start) / (1 + c)        c = learning rate * strength * F

It is stable for any strength, needs no backward pass and no communication, and neither clipping nor loss scaling nor
accumulation touches it. For SGD its fixed point is exactly the minimum of loss + penalty; with momentum m the step is
learning rate / (1 - m) long. Adam divides gradients by sqrt(v); where the pull does the same (`exact`),

    c = learning rate * strength * F / (sqrt(v) + eps)

the fixed point is that minimum for Adam, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, Partial, distribute_tensor

from hf_transfer_kit.errors import DataError

Tensors = Mapping[str, torch.Tensor]
PIECE = 2**17  # elements per thread that stay in the processor's cache between two operations (512 KiB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Start weights and their importance, by parameter name.

    Fields:
        start: whole tensors, also of a sharded model.
        importance: of the same names and shapes, >= 0; None stands for 1 everywhere.
    """

    start: Tensors
    importance: Tensors | None = None

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """One mapping for a file: `anchor.<name>` and `fisher.<name>`."""
        fisher = {f"fisher.{name}": tensor for name, tensor in (self.importance or {}).items()}
        return {f"anchor.{name}": tensor for name, tensor in self.start.items()} | fisher

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> "Anchor":
        """The anchor of which `to_tensors` gave `tensors`.

        Example:
            >>> Anchor.from_tensors(Anchor(start={"w": torch.ones(2)}).to_tensors())
            Anchor(start={'w': tensor([1., 1.])}, importance=None)
        """
        start = {name[len("anchor.") :]: tensor for name, tensor in tensors.items() if name.startswith("anchor.")}
        fisher = {name[len("fisher.") :]: tensor for name, tensor in tensors.items() if name.startswith("fisher.")}
        return cls(start=start, importance=fisher or None)


def normalised(importance: Tensors) -> dict[str, torch.Tensor]:
    """`importance` in float32, divided by its mean over all elements of all tensors.

    Raises:
        DataError: it is zero everywhere, negative, or not finite.

    Example:
        >>> normalised({"w": torch.tensor([0.0, 2.0]), "b": torch.tensor([4.0])})
        {'w': tensor([0., 1.]), 'b': tensor([2.])}
    """
    importance = {name: tensor.detach().float() for name, tensor in importance.items()}
    for name, tensor in importance.items():
        if not (torch.isfinite(tensor).all() and (tensor >= 0).all()):
            raise DataError(
                f"the importance of '{name}' is not finite, or negative; look for a loss that is not finite on the "
                "old data (float16 weights, logarithm of 0), or pass a saved estimate of non-negative numbers."
            )
    total = sum(tensor.sum(dtype=torch.float64).item() for tensor in importance.values())
    if total == 0.0:
        raise DataError(
            f"the importance is zero for all {len(importance)} parameters: nothing in the old data's loss depends on "
            "them; check that its examples carry labels, or choose importance='mas', which needs none."
        )
    mean = total / sum(tensor.numel() for tensor in importance.values())
    return {name: tensor / mean for name, tensor in importance.items()}


def matching(anchor: Anchor, parameters: Tensors) -> Anchor:
    """`anchor` for those of `parameters` that it names in their shape.

    Raises:
        DataError: there are none.
    """
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    names = [name for name, start in anchor.start.items() if shapes.get(name) == start.shape]
    if not names:
        raise DataError(
            f"the saved estimate fits none of the {len(parameters)} trainable parameters (it names "
            f"{next(iter(anchor.start), 'nothing')}, the model {next(iter(parameters), 'nothing')}); pass one that "
            "was made for this kind of model."
        )
    importance = anchor.importance
    return Anchor(
        start={name: anchor.start[name] for name in names},
        importance=None if importance is None else {name: importance[name] for name in names},
    )


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A copy of `tensor`; of one that is sharded over processes all of it, on the CPU. A collective call."""
    if isinstance(tensor, DTensor):
        return torch.Tensor.detach(tensor.full_tensor()).cpu()
    return tensor.detach().clone()


class Pull:
    """Draws parameters towards an `Anchor`, after every step of their optimizer.

    Args:
        anchor: parameters that it does not name are free.
        parameters: by the anchor's names, in training; sharded ones (FSDP2) keep only their own part of the anchor.
        strength: weight of the penalty, > 0, in loss units per squared weight of importance 1.
        exact: divide the pull as Adam divides gradients; see above.
    """

    def __init__(
        self, anchor: Anchor, parameters: Mapping[str, nn.Parameter], *, strength: float, exact: bool = False
    ) -> None:
        self.strength, self.exact = strength, exact
        self._rooms: dict[torch.dtype, torch.Tensor] = {}
        self._held = {
            name: _Held.of(parameters[name], start, None if anchor.importance is None else anchor.importance[name])
            for name, start in anchor.start.items()
        }

    @torch.no_grad()
    def apply(self, optimizer: Any) -> None:
        """One pull with the learning rates of the step just made; parameters frozen for now stay where they are."""
        groups = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
        for held in self._held.values():
            group = groups[id(held.parameter)]
            step = _step_length(group) * self.strength
            if held.parameter.requires_grad and step > 0:
                divisor = _adam_divisor(optimizer.state[held.parameter], group) if self.exact else None
                held.pull(1 / step if divisor is None else divisor / step, self._room(held.parameter))

    def _room(self, parameter: nn.Parameter) -> torch.Tensor:
        """Memory for one piece of a result, the same for every step."""
        dtype = _working_dtype(parameter)
        if dtype not in self._rooms:
            self._rooms[dtype] = torch.empty(PIECE * torch.get_num_threads(), dtype=dtype)
        return self._rooms[dtype]

    @torch.no_grad()
    def penalty(self) -> float:
        """strength / 2 * sum_i F_i (w_i - w_i^start)^2 now. A collective call for sharded parameters."""
        return self.strength / 2 * sum(held.distance() for held in self._held.values())

    def importance(self) -> dict[str, torch.Tensor]:
        """The anchor's importance by parameter name, whole tensors. A collective call for sharded parameters."""
        return {name: held.whole_importance() for name, held in self._held.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """One parameter on its anchor: this process's part of it, on its device.

    `rows` are the positions of the rows with any importance where most have none, as those of tokens that the old data
    does not hold; start and importance are then those of these rows only.
    """

    parameter: nn.Parameter
    start: torch.Tensor
    importance: torch.Tensor | None
    rows: torch.Tensor | None

    @classmethod
    def of(cls, parameter: nn.Parameter, start: torch.Tensor, importance: torch.Tensor | None) -> "_Held":
        start = _part(start.to(parameter.device, parameter.dtype), parameter)
        if importance is None:
            return cls(parameter=parameter, start=start, importance=None, rows=None)
        importance = _part(importance.to(parameter.device, _working_dtype(parameter)), parameter)
        if importance.ndim > 1:
            rows = importance.flatten(1).any(dim=1).nonzero().flatten()
            if 2 * len(rows) < len(importance):
                return cls(parameter=parameter, start=start[rows], importance=importance[rows], rows=rows)
        return cls(parameter=parameter, start=start, importance=importance, rows=None)

    def pull(self, damping: float | torch.Tensor, room: torch.Tensor) -> None:
        """w <- w + (w^start - w) F / (F + damping), which is the pull for damping = F / c; `room` is written over."""
        weight = _local(self.parameter)
        if self.rows is None:
            self._pull_whole(weight, damping, room)
        else:
            rows = weight.index_select(0, self.rows)
            self._pull_whole(rows, damping if isinstance(damping, float) else damping.index_select(0, self.rows), room)
            weight.index_copy_(0, self.rows, rows)

    def _pull_whole(self, weight: torch.Tensor, damping: float | torch.Tensor, room: torch.Tensor) -> None:
        importance: float | torch.Tensor = 1.0 if self.importance is None else self.importance
        if weight.dtype != room.dtype:  # a half-precision weight: one rounding, at the end
            share = importance / (importance + damping)
            weight.copy_(torch.lerp(weight.to(room.dtype), self.start.to(room.dtype), share))
        elif weight.device.type == "cpu" and weight.is_contiguous() and isinstance(importance, torch.Tensor):
            for now, start, important, damp in _pieces(len(room), weight, self.start, importance, damping):
                share = torch.add(important, damp, out=room[: len(now)])
                now.lerp_(start, torch.div(important, share, out=share))  # exactly `now` where the share is 0
        else:
            weight.lerp_(self.start, importance / (importance + damping))

    def distance(self) -> float:
        """sum_i F_i (w_i - w_i^start)^2 over all processes."""
        weight, wide = _local(self.parameter), _working_dtype(self.parameter)
        moved = (weight if self.rows is None else weight[self.rows]).to(wide) - self.start.to(wide)
        total = (moved.square() * (1.0 if self.importance is None else self.importance)).sum()
        if isinstance(self.parameter, DTensor):
            sums = [Partial() if placement.is_shard() else placement for placement in self.parameter.placements]
            total = DTensor.from_local(total, self.parameter.device_mesh, sums).full_tensor()
        return total.item()

    def whole_importance(self) -> torch.Tensor:
        full = torch.zeros_like(_local(self.parameter), dtype=_working_dtype(self.parameter))
        full[... if self.rows is None else self.rows] = 1.0 if self.importance is None else self.importance
        if isinstance(self.parameter, DTensor):
            p = self.parameter
            full = DTensor.from_local(full, p.device_mesh, p.placements, shape=p.shape, stride=p.stride())
        return whole(full)


def _step_length(group: Mapping[str, Any]) -> float:
    """How far the optimizer moves along a gradient that stays the same."""
    length = float(group["lr"])
    if "dampening" in group:  # SGD; others that have a momentum average with it, which leaves the length
        length *= (1 - float(group["dampening"])) / (1 - group["momentum"]) if group["momentum"] else 1
    return length


def _adam_divisor(state: Mapping[str, Any], group: Mapping[str, Any]) -> torch.Tensor | None:
    """sqrt(v) + eps as Adam's last step had it; None for optimizers without second moments."""
    if "exp_avg_sq" not in state:
        return None
    moment = _local(state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"])
    correction = 1 - group["betas"][1] ** float(state["step"])
    return (moment.to(_working_dtype(moment)) / correction).sqrt_().add_(group["eps"])


def _pieces(size: int, *parts: torch.Tensor | float) -> Iterator[tuple[Any, ...]]:
    """Tensors of one shape in flat pieces that fit the processor's cache; numbers come with every piece."""
    flat = (each.reshape(-1).split(size) if isinstance(each, torch.Tensor) else repeat(each) for each in parts)
    return zip(*flat, strict=False)  # numbers are repeated without end


def _part(tensor: torch.Tensor, parameter: nn.Parameter) -> torch.Tensor:
    """What this process has of `tensor` where `parameter` is sharded; else `tensor`."""
    if not isinstance(parameter, DTensor):
        return tensor
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements).to_local()


def _local(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach()


def _working_dtype(tensor: torch.Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
