"""Discriminative learning rates: the lower a block, the smaller its steps.

    rate of a block = lr * decay ^ (blocks above it);  stem: one block lower still;  new head: head_lr

Low layers hold what all tasks share and need little change; a new head starts from nothing and needs large steps.

Source: Howard & Ruder 2018, "ULMFiT", section 3.2 (arXiv:1801.06146), who divide by 2.6 per layer (decay 0.38); Sun
et al. 2019, "How to Fine-Tune BERT for Text Classification?" (arXiv:1905.05583), who decay mildly, by 0.95.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from hf_transfer_kit.blocks import Blocks, find_blocks
from hf_transfer_kit.errors import PlanError, did_you_mean


def discriminative_lr(
    model: nn.Module,
    lr: float,
    *,
    decay: float = 0.9,
    head_lr: float = 1e-3,
    weight_decay: float = 0.01,
    new_parameters: Iterable[str] | None = None,
    blocks: Blocks | None = None,
) -> torch.optim.AdamW:
    """AdamW over the groups of `parameter_groups`, for `Trainer(optimizers=(optimizer, None))`.

    The groups follow from the model, from what trains in it, and from these arguments, so a resumed run finds its
    optimizer state where it left it: freeze first, then call this.

    Args: as `parameter_groups`.

    Raises:
        PlanError: as `parameter_groups`.
        ModelError: `blocks` is None and the model has no blocks that can be found.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=2, num_attention_heads=1)
        >>> optimizer = discriminative_lr(BertForSequenceClassification(config), 2e-5, decay=0.5)
        >>> {group["name"]: group["lr"] for group in optimizer.param_groups if "no decay" not in group["name"]}
        {'stem': 5e-06, 'block 0': 1e-05, 'block 1': 2e-05, 'new': 0.001}
    """
    groups = parameter_groups(
        model,
        lr,
        decay=decay,
        head_lr=head_lr,
        weight_decay=weight_decay,
        new_parameters=new_parameters,
        blocks=blocks,
    )
    return torch.optim.AdamW(
        groups, lr=lr, fused=True
    )  # as the Trainer's own; a quarter of the time per step on a CPU


def parameter_groups(
    model: nn.Module,
    lr: float,
    *,
    decay: float = 0.9,
    head_lr: float = 1e-3,
    weight_decay: float = 0.01,
    new_parameters: Iterable[str] | None = None,
    blocks: Blocks | None = None,
) -> list[dict[str, Any]]:
    """Groups in the form torch optimizers take, bottom to top, every trainable parameter in exactly one.

    Each unit gives a group named after it ("stem", "block 0", ..., "head"), and one named "... (no decay)" for its
    biases, norms and other parameters of one dimension; the two groups of the new parameters, "new", come last. Groups
    without parameters are left out.

    Args:
        lr: of the top block, and of what the head unit holds besides new parameters, > 0.
        decay: factor per block downwards, in (0, 1]; 1 gives one rate everywhere but in the new head.
        head_lr: of the new parameters, > 0.
        weight_decay: of AdamW, >= 0.
        new_parameters: names of the parameters that start untrained, best from the `missing_keys` and (first entry of
            each) the `mismatched_keys` of `from_pretrained(..., output_loading_info=True)`; None: the whole head unit,
            with any pre-trained pooler or norm in it.
        blocks: as found before; None: found here.

    Raises:
        PlanError: a number is out of range, a new parameter is not in the model, or nothing in the model trains.
        ModelError: `blocks` is None and the model has no blocks that can be found.
    """
    _check(lr, decay, head_lr, weight_decay)
    blocks = find_blocks(model) if blocks is None else blocks
    new = set(blocks.head.parameter_names if new_parameters is None else new_parameters)
    _check_names(model, new)
    groups = []
    for depth, unit in enumerate(blocks):
        rate = lr * decay ** max(len(blocks) - depth, 0)  # the head counts as high as the top block
        names = [name for name in unit.parameter_names if name not in new]
        groups += _decay_and_no_decay(model, unit.name, names, rate, weight_decay)
    names = [name for unit in blocks for name in unit.parameter_names if name in new]
    groups += _decay_and_no_decay(model, "new", names, head_lr, weight_decay)
    if not groups:
        raise PlanError(f"no parameter of {type(model).__name__} has requires_grad=True; unfreeze at least the head.")
    return groups


def _decay_and_no_decay(
    model: nn.Module, title: str, names: list[str], lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Up to two groups with the trainable ones among `names`."""
    trainable = [name for name in names if model.get_parameter(name).requires_grad]
    bare = {name for name in trainable if _is_bias_or_norm(model, name)}
    halves = [
        (title, weight_decay, [name for name in trainable if name not in bare]),
        (f"{title} (no decay)", 0.0, [name for name in trainable if name in bare]),
    ]
    return [
        {"name": name, "lr": lr, "weight_decay": rate, "params": [model.get_parameter(n) for n in members]}
        for name, rate, members in halves
        if members
    ]


def _is_bias_or_norm(model: nn.Module, name: str) -> bool:
    """Whether weight decay would only do harm: a bias, a scale, a norm of any shape."""
    owner, _, leaf = name.rpartition(".")
    in_norm = "norm" in type(model.get_submodule(owner)).__name__.lower()
    return leaf == "bias" or in_norm or model.get_parameter(name).ndim < 2


def _check(lr: float, decay: float, head_lr: float, weight_decay: float) -> None:
    for name, rate in (("lr", lr), ("head_lr", head_lr)):
        if not rate > 0:
            raise PlanError(f"{name}={rate} must be > 0; use 2e-5 for a pre-trained body and 1e-3 for a new head.")
    if not 0 < decay <= 1:
        raise PlanError(f"decay={decay} must lie in (0, 1]; use 1 for one rate in all blocks.")
    if not weight_decay >= 0:
        raise PlanError(f"weight_decay={weight_decay} is negative; use 0 to switch it off.")


def _check_names(model: nn.Module, new: set[str]) -> None:
    # `missing_keys` may hold buffers, and second names of tied weights: both are in the state dict, so no mistake.
    known = {name for name, _ in model.named_parameters()}
    for name in sorted(new - known - set(model.state_dict())):
        owner = type(model).__name__
        raise PlanError(f"new_parameters: {owner} has no parameter '{name}'; {did_you_mean(name, known)}")
