"""What a model says about rows before it trains on: the features below its last layer, and its logits."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from torch import nn

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.isolation import undisturbed

Collate = Callable[[list[Any]], Any]


def last_features(model: nn.Module, rows: Any, collate: Collate, args: Any) -> np.ndarray:
    """The input of the model's last linear layer for each row, (rows, width), in eval mode; tokens are averaged.

    Layers inside of adapters do not count.

    Raises:
        ModelError: the model calls no linear layer, or not with one row for each example.
    """
    inputs: list[torch.Tensor] = []
    layers = [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and "lora_" not in name]
    hooks = [layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0])) for layer in layers]
    try:
        features = []
        with undisturbed(model), torch.no_grad():
            for batch, size in batches(rows, collate, args):
                inputs.clear()
                model(**batch)
                features.append(_one_each(inputs[-1] if inputs else None, batch, size))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(features).float().cpu().numpy()


def logits_by_row(outputs: Any, batch: Mapping[str, Any], rows: int, encoder_decoder: bool) -> list[torch.Tensor]:
    """The logits of each row, (tokens, classes), without padding; one token where the model classifies whole rows.

    Raises:
        ModelError: the outputs hold no logits, or not some for each of `rows` rows.
    """
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else None
    if not isinstance(logits, torch.Tensor) or logits.shape[0] != rows:
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelError(f"distill needs logits for each row; {rows} rows gave {shape}. Use distill=0.")
    if logits.ndim != 3:
        return list(logits.reshape(rows, 1, -1))
    mask = batch["labels"] != -100 if encoder_decoder else batch.get("attention_mask")
    if mask is None:
        return list(logits)
    if mask.shape != logits.shape[:2]:
        raise ModelError(f"distill cannot tell which of logits {tuple(logits.shape)} are padding. Use distill=0.")
    return [row[kept.bool()] for row, kept in zip(logits, mask, strict=True)]


def batches(rows: Any, collate: Collate, args: Any) -> Iterator[tuple[Any, int]]:
    """`rows` in batches as large as those of training, on the Trainer's device, with the number of rows in each."""
    size = args.per_device_train_batch_size
    for start in range(0, len(rows), size):
        some = [rows[position] for position in range(start, min(start + size, len(rows)))]
        yield send_to_device(collate(some), args.device), len(some)


def _one_each(inputs: torch.Tensor | None, batch: Mapping[str, Any], rows: int) -> torch.Tensor:
    if inputs is None or inputs.shape[0] != rows:
        raise ModelError("herding needs the input of a last linear layer for each row; use sampler='reservoir'.")
    if inputs.ndim == 3:
        mask = batch.get("attention_mask")
        if mask is None or mask.shape != inputs.shape[:2]:
            return inputs.mean(dim=1)
        return (inputs * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    return inputs.flatten(start_dim=1)
