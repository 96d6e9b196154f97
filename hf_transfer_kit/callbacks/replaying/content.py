"""What a row holds, as a digest: the same for the same values, in a list, an array or a tensor.

The draw of old rows is seeded with what the batch holds; rows of the evaluation set are recognised by what they hold.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from datasets.fingerprint import Hasher

from hf_transfer_kit.examples import is_map_style


def digest(value: Any) -> bytes:
    """16 bytes that stand for `value`: rows, texts, numbers, arrays, pictures and whatever nests them.

    Whole numbers of all widths count as equal, and so do real numbers that round to the same float32; bytes of
    pictures (uint8) are a kind of their own.

    Example:
        >>> digest({"input_ids": [1, 2]}) == digest({"input_ids": torch.tensor([1, 2])})
        True
    """
    state = hashlib.blake2b(digest_size=16)
    _feed(state, value)
    return state.digest()


def stamp(rows: Iterable[Any]) -> torch.Tensor:
    """The digest of `rows` as a tensor, 16 bytes."""
    return torch.frombuffer(bytearray(digest(list(rows))), dtype=torch.uint8)


def each_row(dataset: Any) -> Iterator[Any]:
    """The rows of a data set in their order."""
    return (dataset[position] for position in range(len(dataset))) if is_map_style(dataset) else iter(dataset)


def _feed(state: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for name in sorted(value, key=str):
            state.update(f"\x01{name}".encode())
            _feed(state, value[name])
    elif isinstance(value, str | bytes):
        state.update(b"\x02%d " % len(value) + (value.encode() if isinstance(value, str) else value))
    elif value is None:
        state.update(b"\x03")
    elif (array := _numbers(value)) is not None:
        state.update(f"\x04{array.dtype.char}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).data)
    elif isinstance(value, list | tuple | np.ndarray):
        state.update(b"\x05%d " % len(value))
        for part in value:
            _feed(state, part)
    else:
        state.update(Hasher.hash(value).encode())


def _numbers(value: Any) -> np.ndarray | None:
    """`value` as an array of numbers, if that is what it is."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()  # numpy knows no bfloat16
    elif not isinstance(value, list | tuple | int | float | np.generic) and not hasattr(value, "__array_interface__"):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # rows of unequal length, tensors among other things
        return None
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if array.dtype == np.uint8 or array.dtype.kind not in "biu":
        return array if array.dtype == np.uint8 else None
    return array.astype(np.int64, copy=False)
