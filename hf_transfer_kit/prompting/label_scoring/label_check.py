"""Which path of `label_paths` is right for a model: the fastest that agrees with plain forward passes.

A cache or a mask that a model does not take as meant seldom ends in an error; mostly the numbers are a little wrong.
In half precision that would pass for rounding. So models in half precision are checked in float32 first: their weights
are made float32 for that moment, and back, which loses nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import torch

from hf_transfer_kit.prompting.label_scoring.label_paths import (
    LabelPath,
    PlainPath,
    RowsPath,
    Tokens,
    TriePath,
    plain_log_scores,
)

FAST: tuple[type[LabelPath], ...] = (TriePath, RowsPath)
HALF = (torch.float16, torch.bfloat16)
# By how much the log-probability of one token may differ where sums are taken in another order; in half precision,
# where the float32 check has been passed, anything but gross errors such as overflows.
TOLERANCE = {torch.float64: 1e-8, torch.float32: 2e-4, torch.float16: 5e-2, torch.bfloat16: 0.25}
# What models raise that do not take a cache, a mask or an option as the paths give it.
MODEL_ERRORS = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError)


@dataclass(slots=True, kw_only=True)
class Choice:
    """The path to take, why not a faster one, and the largest difference from plain forward passes, in nats."""

    path: LabelPath
    refused: dict[str, str] = field(default_factory=dict)
    difference: float = 0.0


def choose_path(
    model: Any, labels: Sequence[Tokens], prefix: Tokens, batch_size: int, contexts: Sequence[Tokens]
) -> Choice:
    """The fastest path that gives for `contexts` what plain forward passes give."""
    kinds, refused = FAST, {}
    if model.dtype in HALF:
        try:
            with in_float32(model):
                choice = _first_right(kinds, model, labels, prefix, batch_size, contexts)
            kinds, refused = tuple(kind for kind in FAST if kind.name not in choice.refused), choice.refused
        except MODEL_ERRORS as error:  # no memory, or attention kernels for half precision only
            refused = {"check in float32": _reason(error)}
    choice = _first_right(kinds, model, labels, prefix, batch_size, contexts)
    choice.refused = refused | choice.refused
    return choice


def _first_right(
    kinds: Sequence[type[LabelPath]],
    model: Any,
    labels: Sequence[Tokens],
    prefix: Tokens,
    batch_size: int,
    contexts: Sequence[Tokens],
) -> Choice:
    """The first of `kinds` that agrees in the model's present dtype, else the plain path."""
    some, refused = telling_labels(labels), {}
    expected = plain_log_scores(model, contexts, [labels[number] for number in some]) if kinds else torch.empty(0)
    tolerance = TOLERANCE.get(model.dtype, 0.25) * torch.tensor([len(labels[number]) for number in some])
    longer = [[*context, context[-1]] for context in contexts]  # beside the others, so that those are padded
    for kind in kinds:
        try:
            path = kind(model, labels, prefix, batch_size)
            found, _ = path.log_scores([*contexts, *longer])
        except MODEL_ERRORS as error:
            refused[kind.name] = _reason(error)
            continue
        difference = (found[: len(contexts), some] - expected).abs()
        if (difference <= tolerance).all():  # not so where one is NaN
            return Choice(path=path, refused=refused, difference=difference.max().item())
        refused[kind.name] = f"it differs from plain forward passes by up to {difference.max().item():.2g}"
    return Choice(path=PlainPath(model, labels, prefix, batch_size), refused=refused)


@contextmanager
def in_float32(model: torch.nn.Module) -> Iterator[None]:
    """The model with its half-precision weights and buffers in float32, and afterwards as it was, to the bit."""
    was = [(each, each.dtype) for each in chain(model.parameters(), model.buffers()) if each.dtype in HALF]
    try:
        for each, _ in was:
            _cast(each, torch.float32)
        yield
    finally:
        for each, dtype in was:
            _cast(each, dtype)


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> None:
    with torch.inference_mode(False):  # what inference mode makes could never be trained again
        tensor.data = tensor.data.to(dtype)


def telling_labels(labels: Sequence[Tokens], most: int = 4) -> list[int]:
    """Numbers of a few labels with which a wrong path shows: long, short, and one that begins with another."""
    by_length = sorted(range(len(labels)), key=lambda each: len(labels[each]))
    by_tokens = sorted(range(len(labels)), key=lambda each: tuple(labels[each]))
    nested = next((pair for pair in pairwise(by_tokens) if _begins(*(labels[each] for each in pair))), ())
    chosen = [by_length[-1], *nested, by_length[0], by_length[len(labels) // 2]]
    return list(dict.fromkeys(chosen))[:most]


def _begins(short: Tokens, long: Tokens) -> bool:
    return len(short) < len(long) and tuple(long[: len(short)]) == tuple(short)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
