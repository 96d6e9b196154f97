"""A layer's input and the gradient of its output -> each example's own gradient of each of the layer's weights.

A rule gives, for every parameter the layer holds itself, the gradients example after example, so that no more than one
of them (of small ones: all) exists at a time. Activations may have more rows than the batch has examples, such as the
windows of Swin, as long as those of one example lie together. A layer without a rule is run again for each example.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.grad as convolution_gradients
from torch import nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from transformers.pytorch_utils import Conv1D


class NotPerExampleError(Exception):
    """The rows of an activation do not belong to one example each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A gradient that is zero but for some rows: that of an embedding.

    Fields:
        index: which rows, each named once.
        values: (rows, width).
    """

    index: torch.Tensor
    values: torch.Tensor


Gradient = torch.Tensor | Rows
Rule = Callable[[Any, torch.Tensor, torch.Tensor, int], Mapping[str, Iterable[Gradient]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a layer: what it was given, and the gradient of what it gave."""

    module: nn.Module
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    output_gradient: torch.Tensor
    examples: int

    def gradients(self, name: str) -> Iterable[Gradient]:
        """Each example's gradient of the layer's parameter `name`, in float32 or better, valid until the next one.

        Raises:
            NotPerExampleError: they cannot be told apart.
        """
        rule = _RULES.get(type(self.module).forward)
        if rule is None:
            return _run_again(self, name)
        x = self.arguments[0] if self.arguments else next(iter(self.keywords.values()))
        return rule(self.module, x, self.output_gradient, self.examples)[name]


def accumulate(total: torch.Tensor, gradient: Gradient, power: int) -> None:
    """Adds the square (`power` 2) or the absolute value (`power` 1) of one example's gradient to `total`."""
    if isinstance(gradient, Rows):
        values = gradient.values**2 if power == 2 else gradient.values.abs()
        total.index_add_(0, gradient.index, values.to(total.dtype))
    elif power == 2:
        total.addcmul_(gradient, gradient)
    else:
        total.add_(gradient.abs())


def added(gradients: Iterable[Gradient], like: torch.Tensor) -> torch.Tensor:
    """The sum of one example's gradients from all the places where a parameter is used; shaped as `like`."""
    total = torch.zeros_like(like)
    for gradient in gradients:
        if isinstance(gradient, Rows):
            total.index_add_(0, gradient.index, gradient.values.to(total.dtype))
        else:
            total.add_(gradient)
    return total


def precise(values: torch.Tensor) -> torch.Tensor:
    """In float32, if not in float64."""
    return values if values.dtype is torch.float64 else values.float()


def _linear(module: Any, x: torch.Tensor, g: torch.Tensor, examples: int) -> dict[str, Iterable[Gradient]]:
    x, g = _by_example(x, examples), _by_example(g, examples)
    return {"weight": _products(g, x), "bias": g.sum(1)}


def _transposed_linear(
    module: nn.Module, x: torch.Tensor, g: torch.Tensor, examples: int
) -> dict[str, Iterable[Gradient]]:
    x, g = _by_example(x, examples), _by_example(g, examples)
    return {"weight": _products(x, g), "bias": g.sum(1)}


def _products(left: torch.Tensor, right: torch.Tensor) -> Iterator[torch.Tensor]:
    """left^T right of every example, each written over the last one: fresh memory for each takes time."""
    product = left.new_empty(left.shape[-1], right.shape[-1])
    for one, other in zip(left, right, strict=True):
        yield torch.mm(one.T, other, out=product)


def _convolution(module: Any, x: torch.Tensor, g: torch.Tensor, examples: int) -> dict[str, Iterable[Gradient]]:
    if len(x) != examples:
        raise NotPerExampleError
    x, g, padding = precise(x), precise(g), module.padding
    if isinstance(padding, str) or module.padding_mode != "zeros":
        mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
        x, padding = functional.pad(x, module._reversed_padding_repeated_twice, mode=mode), 0
    gradient_of = {
        1: convolution_gradients.conv1d_weight,
        2: convolution_gradients.conv2d_weight,
        3: convolution_gradients.conv3d_weight,
    }[x.ndim - 2]
    settings = module.stride, padding, module.dilation, module.groups
    weights = (gradient_of(x[i : i + 1], module.weight.shape, g[i : i + 1], *settings) for i in range(examples))
    return {"weight": weights, "bias": g.flatten(2).sum(2)}


def _embedding(module: Any, x: torch.Tensor, g: torch.Tensor, examples: int) -> dict[str, Iterable[Gradient]]:
    if module.max_norm is not None or module.scale_grad_by_freq:
        raise NotPerExampleError
    g = _by_example(g, examples)
    x = x.reshape(len(x), -1).expand(examples, -1) if len(x) == 1 else _by_example(x[..., None], examples)[..., 0]

    def rows() -> Iterator[Rows]:
        for tokens, gradient in zip(x.long(), g, strict=True):
            if module.padding_idx is not None:
                real = tokens != module.padding_idx
                tokens, gradient = tokens[real], gradient[real]
            index, where = tokens.unique(return_inverse=True)  # a repeated token's gradients add up before the square
            yield Rows(index=index, values=gradient.new_zeros(len(index), g.shape[-1]).index_add_(0, where, gradient))

    return {"weight": rows()}


def _layer_norm(module: Any, x: torch.Tensor, g: torch.Tensor, examples: int) -> dict[str, Iterable[Gradient]]:
    shape = module.normalized_shape
    return _scale_and_shift(functional.layer_norm(precise(x), shape, eps=module.eps), g, shape, examples)


def _rms_norm(module: Any, x: torch.Tensor, g: torch.Tensor, examples: int) -> dict[str, Iterable[Gradient]]:
    shape = module.normalized_shape
    return _scale_and_shift(functional.rms_norm(precise(x), shape, eps=module.eps), g, shape, examples)


def _scale_and_shift(
    normal: torch.Tensor, g: torch.Tensor, shape: tuple[int, ...], examples: int
) -> dict[str, Iterable[Gradient]]:
    if len(g) % examples:
        raise NotPerExampleError
    g = precise(g)
    return {
        "weight": (g * normal).reshape(examples, -1, *shape).sum(1),
        "bias": g.reshape(examples, -1, *shape).sum(1),
    }


def _batch_norm(module: Any, x: torch.Tensor, g: torch.Tensor, examples: int) -> dict[str, Iterable[Gradient]]:
    if module.running_mean is None or len(x) != examples:
        raise NotPerExampleError  # without running statistics examples depend on each other
    mean, variance = precise(module.running_mean), precise(module.running_var)
    normal = functional.batch_norm(precise(x), mean, variance, eps=module.eps)
    g = precise(g)
    positions = tuple(range(2, g.ndim))
    if not positions:
        return {"weight": g * normal, "bias": g}
    return {"weight": (g * normal).sum(positions), "bias": g.sum(positions)}


def _by_example(activation: torch.Tensor, examples: int) -> torch.Tensor:
    """(rows, ..., width) -> (examples, positions, width), float32 where it has a fraction."""
    if activation.ndim < 2 or len(activation) % examples or not len(activation):
        raise NotPerExampleError
    activation = activation.reshape(examples, -1, activation.shape[-1])
    return precise(activation) if activation.is_floating_point() else activation


_RULES: dict[Callable[..., Any], Rule] = {  # by what a layer does: a subclass with a forward of its own has no rule
    nn.Linear.forward: _linear,
    Conv1D.forward: _transposed_linear,
    nn.Conv1d.forward: _convolution,
    nn.Conv2d.forward: _convolution,
    nn.Conv3d.forward: _convolution,
    nn.Embedding.forward: _embedding,
    nn.LayerNorm.forward: _layer_norm,
    nn.RMSNorm.forward: _rms_norm,
    _BatchNorm.forward: _batch_norm,
}


def may_be_broadcast(module: nn.Module) -> bool:
    """Whether a layer's output of one row stands for every example, as position embeddings do."""
    return isinstance(module, nn.Embedding)


def _run_again(call: Call, name: str) -> Iterable[Gradient]:
    """Gradients of a layer without a rule, by running it again."""
    weight = call.module.get_parameter(name)
    x: Any = call.arguments[0] if call.arguments else None
    scales_the_last_dimension = (
        isinstance(x, torch.Tensor) and x.is_floating_point() and len(x) == call.examples and x.ndim > 1
        and weight.shape == x.shape[-1:] and not list(call.module.children())
    )  # fmt: skip
    if scales_the_last_dimension:  # such as every RMSNorm: all examples at once, each with a copy of the few weights
        try:
            shape = (call.examples, *[1] * (x.ndim - 2), *weight.shape)
            return _gradient(call, name, weight.detach().expand(shape), slice(None)).reshape(call.examples, -1)
        except RuntimeError:
            pass  # it does more with its weights than multiply
    return (_gradient(call, name, weight.detach(), slice(i, i + 1)) for i in range(call.examples))


def _gradient(call: Call, name: str, weight: torch.Tensor, rows: slice) -> torch.Tensor:
    """Gradient of `weight` in the place of the parameter, from the given rows."""

    def own(value: Any) -> Any:
        per_example = isinstance(value, torch.Tensor) and value.ndim and len(value) == call.examples
        return value[rows].detach() if per_example else value

    with torch.enable_grad():
        weight = weight.clone().requires_grad_()
        arguments, keywords = tuple(map(own, call.arguments)), {k: own(v) for k, v in call.keywords.items()}
        output = functional_call(call.module, {name: weight}, arguments, keywords, tie_weights=False)
        wanted = own(call.output_gradient)
        if output.shape != wanted.shape:
            raise NotPerExampleError
        if not output.requires_grad:  # a weight that the layer holds but leaves to its children
            return torch.zeros_like(weight)
        (gradient,) = torch.autograd.grad(output, weight, wanted, allow_unused=True)
    return torch.zeros_like(weight) if gradient is None else precise(gradient)
