"""A linear head over fixed features, saved without pickle: what the controls and `features` end in."""

from pathlib import Path

import numpy as np

from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.probe import LogisticHead

HEAD_FILE = "head.safetensors"


def save_head(head: LogisticHead, folder: Path) -> None:
    """Writes the head's weight and bias to head.safetensors in `folder`, which is made."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weight": np.ascontiguousarray(head.weight), "bias": head.bias}, folder / HEAD_FILE)


def load_head(folder: Path) -> LogisticHead:
    """The head that `save_head` wrote, without how it was fitted.

    Raises:
        FormatError: the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / HEAD_FILE
    try:
        tensors = load_file(path)
        return LogisticHead(weight=tensors["weight"], bias=tensors["bias"], inverse_penalty=float("nan"), flops=0.0)
    except (OSError, KeyError, SafetensorError) as error:
        raise FormatError(f"'{path}' is missing or damaged ({error}); run again into an empty folder.") from error
