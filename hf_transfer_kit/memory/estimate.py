"""The memory of a training from the model's configuration alone: no weights are loaded, nothing is computed.

    weights + gradients + optimizer + activations + workspace

Weights, gradients and the two moments of AdamW are counted parameter by parameter. Activations are what the
automatic differentiation keeps of a forward pass, with exactly the layers, the batch and the length asked for: the
model runs on tensors that have shapes but no memory (see `shadow`). Workspace is the most that one step needs beyond
all these, for a moment, with the copies that convolutions make (see `copies`). A sum, not a maximum over time:
gradients are complete when most activations are gone, but an allocator seldom gives their memory back in between.
Imports no torch.

Measured against runs of the kit: benchmarks/memory.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_transfer_kit.errors import PlanError, did_you_mean
from hf_transfer_kit.plan import APPROACHES, CONTROLS, Approach, ModelSpec

if TYPE_CHECKING:
    from transformers import PretrainedConfig

PRECISIONS = ("fp32", "bf16")
USABLE = 0.9  # of a machine's memory; the rest is for the libraries themselves, and for what the estimate misses
KIB, MIB, GIB = 2**10, 2**20, 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """What a training, or a pass where nothing trains, holds in memory at once, in bytes.

    Fields:
        model: its name.
        approach: its name.
        phase: what needs most: "storing" (of what reaches the trained blocks), "training", "evaluation" or "pass".
        frozen: weights that do not train.
        trained: weights that do, adapters and head included.
        gradients: of the trained weights.
        optimizer: the two moments of AdamW for each of them.
        best: the copy of the best trained weights so far, which the kit's loop keeps; 0 on a GPU, where it is not.
        activations: kept by the forward pass for the backward pass, or alive at the end of a pass.
        workspace: the most that is needed beyond that, for a moment.
        cache: keys and values of a language model that is asked.
        data: rows in memory: images as tensors, those of the next batch, too; activations below the trained blocks.
    """

    model: str
    approach: str
    phase: str
    frozen: int = 0
    trained: int = 0
    gradients: int = 0
    optimizer: int = 0
    best: int = 0
    activations: int = 0
    workspace: int = 0
    cache: int = 0
    data: int = 0

    @property
    def total(self) -> int:
        """All of it, bytes."""
        return sum(getattr(self, name) for name in _PARTS)

    @property
    def total_mib(self) -> float:
        """All of it, MiB."""
        return self.total / MIB

    @property
    def as_sum(self) -> str:
        """The parts and their sum; parts below a thousandth of it are left out.

        Example:
            >>> MemoryEstimate(model="m", approach="full", phase="training", trained=3 << 20, gradients=3 << 20).as_sum
            'trained weights 3.0 MiB + gradients 3.0 MiB = 6.0 MiB'
        """
        parts = {title: getattr(self, name) for name, title in _PARTS.items()}
        shown = [f"{title} {size(value)}" for title, value in parts.items() if value * 1000 > self.total]
        return " + ".join(shown) + f" = {size(self.total)}"


_PARTS = {
    "frozen": "frozen weights", "trained": "trained weights", "gradients": "gradients", "optimizer": "optimizer",
    "best": "best weights so far", "activations": "activations", "workspace": "workspace",
    "cache": "keys and values", "data": "data",
}  # fmt: skip


def size(value: float) -> str:
    """A number of bytes as people read it.

    Example:
        >>> [size(value) for value in (400, 2**21, 87 * 2**20, 15.5 * 2**30)]
        ['0.4 KiB', '2.0 MiB', '87 MiB', '15.5 GiB']
    """
    for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
        if value >= unit:
            return f"{value / unit:.{0 if name == 'MiB' and value >= 10 * unit else 1}f} {name}"
    return f"{value / KIB:.1f} KiB"


def estimate_memory(
    model: "ModelSpec | PretrainedConfig", approach: Approach | str, batch: int = 16, length: int | None = None,
    precision: str = "fp32", *, n_classes: int = 2, accumulation: int = 1, gradient_checkpointing: bool = False,
    rows: int = 0, evaluation_batch: int | None = None, gpu: bool = False,
) -> MemoryEstimate:  # fmt: skip
    """What `approach` needs on one process, for the phase that needs most.

    Args:
        model: a plan's model, of which only the configuration is read, or a configuration.
        approach: of a plan, or the name of one, with its defaults.
        batch: examples per optimizer step; inputs in one pass where nothing trains (the kit: 32 texts, 16 images).
        length: tokens of a text, 128 if not given; pixels of an image's side, the model's own if not given.
        precision: "fp32", or "bf16": mixed precision in training, weights in bf16 for a language model that is asked.
        n_classes: labels.
        accumulation: micro-batches that `batch` is cut into.
        gradient_checkpointing: activations inside blocks are computed again in the backward pass.
        rows: training and validation examples that the kit keeps in memory: images, and activations at a boundary.
        evaluation_batch: examples of an evaluation on validation; 64 in the kit, 0 for none.
        gpu: leaves out what then lies in the memory of the machine.

    Raises:
        PlanError: a number makes no sense, or the approach uses no model.
        ModelError: the configuration cannot be read, or is of a model that cannot do this.
        UnsupportedSetupError: the model does not run without real numbers, or cannot recompute activations.

    Example:
        >>> from transformers import BertConfig
        >>> config = BertConfig(vocab_size=99, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
        >>> estimate = estimate_memory(config, "full", batch=64, length=16)
        >>> estimate.optimizer == 2 * estimate.gradients == 2 * estimate.trained
        True
    """
    chosen = _approach(approach)
    for name, value in (("batch", batch), ("n_classes", n_classes), ("accumulation", accumulation)):
        if value < 1:
            raise PlanError(f"{name}={value} must be >= 1.")
    if length is not None and length < 2:
        raise PlanError(f"length={length} is too short; give the tokens of a text, or the pixels of an image's side.")
    if precision not in PRECISIONS:
        raise PlanError(f"precision='{precision}' is unknown; {did_you_mean(precision, PRECISIONS)}")
    from hf_transfer_kit.memory.phases import phases
    from hf_transfer_kit.memory.shadow import Setup

    setup = Setup(
        approach=chosen, batch=batch, length=length, precision=precision, n_classes=n_classes,
        accumulation=accumulation, gradient_checkpointing=gradient_checkpointing, rows=rows,
        evaluation_batch=evaluation_batch, gpu=gpu,
    )  # fmt: skip
    return max(phases(model, setup), key=lambda estimate: estimate.total)


def _approach(approach: Approach | str) -> Any:
    """The approach, from its name if need be."""
    if isinstance(approach, str):
        if approach not in APPROACHES:
            raise PlanError(f"unknown approach '{approach}'; {did_you_mean(approach, APPROACHES)}")
        approach = APPROACHES[approach]()
    if isinstance(approach, CONTROLS):
        raise PlanError(f"approach '{approach.name}' uses no model, so there is nothing to estimate.")
    return approach


def fits(estimate: MemoryEstimate, memory_gib: float, usable: float = USABLE) -> bool:
    """Whether `estimate` is at most the `usable` share of `memory_gib`.

    Example:
        >>> small = MemoryEstimate(model="m", approach="full", phase="training", trained=2**30)
        >>> fits(small, memory_gib=2), fits(small, memory_gib=1)
        (True, False)
    """
    return estimate.total <= memory_gib * GIB * usable


def refusal(estimate: MemoryEstimate, memory_gib: float, usable: float = USABLE) -> str:
    """One sentence that says why `estimate` does not fit, with the sum; empty where it fits.

    Example:
        >>> large = MemoryEstimate(model="big", approach="full", phase="training", trained=2**30, gradients=2**30)
        >>> refusal(large, memory_gib=2)
        'big does not fit with full: trained weights 1.0 GiB + gradients 1.0 GiB = 2.0 GiB, of 1.8 GiB usable.'
    """
    if fits(estimate, memory_gib, usable):
        return ""
    room = size(memory_gib * GIB * usable)
    return f"{estimate.model} does not fit with {estimate.approach}: {estimate.as_sum}, of {room} usable."
