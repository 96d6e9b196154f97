"""Cached activations at the boundary between frozen and trainable blocks.

While the lower blocks are frozen and in eval mode, what they hand to the first trainable block is the same in every
epoch. One pass stores it; training then skips the lower blocks: each of them returns a tensor of the right shape at no
cost, and the first trainable block gets the stored tensor instead. The model's own forward still runs, so masks,
positions and heads stay what they were.

The stem still runs: it is cheap, and the model derives masks and positions from it. Whether the short cut gives the
same answers is checked on real rows before it is used.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import torch
from torch import nn

from hf_transfer_kit.blocks import Blocks, Unit
from hf_transfer_kit.features import Progress, batches_by_length
from hf_transfer_kit.measure import flop_counter

if TYPE_CHECKING:
    from hf_transfer_kit.tasks.task import Task

KEY = "boundary_activations"  # name under which a batch carries the stored tensor
TOLERANCE = 1e-4  # largest difference of logits, relative to their spread, between short cut and plain forward


class NoShortCutError(Exception):
    """The lower blocks of this model cannot be skipped; the message says why. Never reaches the user."""


class _StopError(Exception):
    """Ends a forward pass once the boundary is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Activations of many rows.

    Fields:
        rows: one tensor per row, (tokens, width) or (channels, height, width), on the CPU.
        mib: their size.
        flops: floating-point operations of the pass that made them, counted on the first batch and scaled by padded
            size.
    """

    rows: list[torch.Tensor]
    mib: float
    flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What a module returns: a tuple of `width`, or (0) a tensor; its shape without the batch (None: the input's)."""

    width: int = 0
    shape: tuple[int, ...] | None = None


class Boundary:
    """The short cut through one model; `remove` undoes it.

    Args:
        model: a classifier whose units below `k` are frozen and in eval mode.
        k: how many top blocks train, >= 1.
    """

    def __init__(self, model: nn.Module, blocks: Blocks, k: int):
        self._model = model
        self._skipped = [module for unit in blocks.below(k)[1:] for module in _called_modules(model, unit)]
        first = blocks.top(k)[0].module
        if first is None:
            raise ValueError("the boundary of a model whose head alone trains is its feature vector; use `features`.")
        self._first = model.get_submodule(first)
        self._stored: torch.Tensor | None = None
        self._forms: dict[nn.Module, _Form] = {}
        self._handles: list[Any] = []

    @torch.no_grad()  # not inference_mode: the stored tensors take part in training later
    def store(
        self, task: "Task", processor: Any, inputs: Sequence[Any], *, max_length: int, limit_mib: float,
        on_progress: Progress | None = None,
    ) -> Stored:  # fmt: skip
        """The activations of `inputs`, in their order.

        Raises:
            NoShortCutError: they would take more than `limit_mib`, or the boundary has not one vector per token.
        """
        device = next(self._model.parameters()).device
        rows: list[torch.Tensor] = [torch.empty(0)] * len(inputs)
        size, done, units, flops_per_unit = 0, 0, 0, 0.0
        for positions, encoded in batches_by_length(task, processor, inputs, max_length, task.inference_batch):
            batch = {name: tensor.to(device) for name, tensor in task.collate(processor, encoded).items()}
            lengths = [task.length(row) for row in encoded]
            with flop_counter() if done == 0 else nullcontext() as counter:
                hidden = self._activations(batch)
            if counter is not None:
                flops_per_unit = counter.get_total_flops() / (len(encoded) * max(lengths))
            if len(hidden) != len(encoded) or (task.pads and (hidden.dim() != 3 or hidden.shape[1] != max(lengths))):
                raise NoShortCutError("the model rearranges its tokens below the boundary")
            for position, length, activation in zip(positions, lengths, hidden.cpu(), strict=True):
                rows[position] = activation[:length].clone() if task.pads else activation.clone()
            size += sum(rows[position].nbytes for position in positions)
            done, units = done + len(positions), units + len(encoded) * max(lengths)
            if size / done * len(inputs) > min(limit_mib * 2**20, psutil.virtual_memory().available / 2 + size):
                raise NoShortCutError(f"the activations would take over {limit_mib:.0f} MiB or half of free memory")
            if on_progress is not None:
                on_progress(done, len(inputs))
        return Stored(rows=rows, mib=size / 2**20, flops=flops_per_unit * units)

    def _activations(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """What reaches the first trainable block for one batch; the rest of the model does not run."""
        caught: list[Any] = []

        def catch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            caught.append(args[0] if args else kwargs.get("hidden_states"))
            raise _StopError

        def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            width, first = (len(output), output[0]) if isinstance(output, tuple) else (0, output)
            same = first.shape == (args[0] if args else kwargs["hidden_states"]).shape
            self._forms[module] = _Form(width=width, shape=None if same else tuple(first.shape[1:]))

        hooks = [self._first.register_forward_pre_hook(catch, with_kwargs=True)]
        hooks += [module.register_forward_hook(note, with_kwargs=True) for module in self._skipped]
        try:
            self._model(**batch)
        except _StopError:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        if not caught or not isinstance(caught[0], torch.Tensor):
            raise NoShortCutError("the first trained block does not begin with one tensor")
        return caught[0]

    def install(self) -> None:
        """From here on, a batch that carries stored activations under `KEY` takes the short cut, and no other."""
        self._handles.append(self._model.register_forward_pre_hook(self._take, with_kwargs=True))
        self._handles.append(self._first.register_forward_pre_hook(self._put, with_kwargs=True))
        for module in self._skipped:
            module.forward = self._passing(module, module.forward)  # type: ignore[method-assign]

    def remove(self) -> None:
        """Takes the short cut out; the model is as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._stored = None
        for module in self._skipped:
            module.__dict__.pop("forward", None)

    def _take(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        self._stored = kwargs.pop(KEY, None)
        return args, kwargs

    def _put(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if self._stored is None:
            return args, kwargs
        return ((self._stored, *args[1:]), kwargs) if args else ((), kwargs | {"hidden_states": self._stored})

    def _passing(self, module: nn.Module, plain: Callable[..., Any]) -> Callable[..., Any]:
        """A forward that returns something of the form of `plain`'s output while the short cut is taken."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            if self._stored is None:
                return plain(*args, **kwargs)
            hidden = args[0] if args else kwargs["hidden_states"]
            form = self._forms.get(module, _Form())
            if form.shape is not None:  # a layer that changes shapes, in models whose inputs all have one shape
                hidden = hidden.new_zeros(1).expand(len(hidden), *form.shape)
            return (hidden, *[None] * (form.width - 1)) if form.width else hidden

        return forward

    @torch.no_grad()  # not inference_mode: what the model caches inside itself takes part in training later
    def check(self, batch: dict[str, torch.Tensor], stored: torch.Tensor) -> None:
        """Compares the installed short cut with the plain forward, on one batch in eval mode.

        Raises:
            NoShortCutError: the logits differ, or the model cannot run with its lower blocks skipped.
        """
        was_training = self._model.training
        self._model.eval()
        try:
            plain = self._model(**batch).logits
            short = self._model(**batch, **{KEY: stored}).logits
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise NoShortCutError(f"this model does not run with its lower blocks skipped ({error})") from error
        finally:
            self._model.train(was_training)
        if not (short - plain).abs().max() <= TOLERANCE * plain.std().clamp(min=1e-6) + 1e-6:
            raise NoShortCutError("this model answers otherwise when its lower blocks are skipped")


def _called_modules(model: nn.Module, unit: Unit) -> list[nn.Module]:
    """The outermost modules of `unit`; lists are opened, since only what is in them is ever called."""
    names = [n for n in unit.module_names if not isinstance(model.get_submodule(n), nn.ModuleList | nn.ModuleDict)]
    inner = {name for name in names if any(name.startswith(other + ".") for other in names)}
    return [model.get_submodule(name) for name in names if name not in inner]


def pad_activations(rows: Sequence[torch.Tensor], length: int | None) -> torch.Tensor:
    """One batch (batch, length, width) of rows (tokens, width), zeros behind; `length` None: rows of one shape."""
    if length is None:
        return torch.stack(list(rows))
    batch = rows[0].new_zeros((len(rows), length, rows[0].shape[1]))
    for i, row in enumerate(rows):
        batch[i, : len(row)] = row
    return batch
