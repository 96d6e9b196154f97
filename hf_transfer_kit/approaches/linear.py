"""A linear head over fixed features, saved without pickle: what the controls and `features` end in."""

from pathlib import Path

import numpy as np

from hf_transfer_kit.probe import LogisticHead


def save_head(head: LogisticHead, folder: Path) -> None:
    """Writes the head's tensors to `folder`/head.safetensors."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weight": np.ascontiguousarray(head.weight), "bias": head.bias}, folder / "head.safetensors")


def load_head(folder: Path) -> LogisticHead:
    """The head that `save_head` wrote."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / "head.safetensors")
    return LogisticHead(weight=tensors["weight"], bias=tensors["bias"], inverse_penalty=float("nan"), flops=0.0)
