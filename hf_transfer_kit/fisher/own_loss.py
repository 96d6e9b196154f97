"""What each example of a batch loses by itself: as if it were the only one, the mean over its own labelled items.

The model's own loss is a mean over the whole batch, from which the gradient of one example cannot be told. So losses
are computed again from the logits. The form that agrees with the model's own loss on single examples is taken: no
table of model classes, and whatever agrees with none is left to the model itself, one example at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hf_transfer_kit.errors import DataError, ModelError
from hf_transfer_kit.fisher.batches import IGNORED, Batch
from hf_transfer_kit.fisher.rules import precise

KINDS = ("empirical", "exact", "mas", "reversed", "sampled")
MOST_CLASSES = 1000  # of "exact": a backward pass for each
Losses = torch.Tensor  # (examples,)
Aligned = tuple[torch.Tensor, torch.Tensor]  # logits (examples, items, classes), labels (examples, items)


@dataclass(frozen=True, kw_only=True)
class OwnLoss:
    """The function whose gradient is measured.

    Fields:
        kind: one of KINDS.
        align: brings the logits and labels of a cross entropy in line; None for other losses.
        direct: logits, labels -> losses, where it is no cross entropy; None with `align` None: only the model knows.
        seed: of the labels that "sampled" draws.
    """

    kind: str
    align: Callable[[torch.Tensor, torch.Tensor], Aligned | None] | None = None
    direct: Callable[[torch.Tensor, torch.Tensor], Losses | None] | None = None
    seed: int = 0

    @property
    def needs_single_examples(self) -> bool:
        """Whether only the model itself can tell the loss, so that a batch must be a single example."""
        return self.kind != "mas" and self.align is None and self.direct is None

    def __call__(self, outputs: Any, batch: Batch) -> list[Losses]:
        """Losses whose gradients, squared and added, are each example's share; more than one for "exact"."""
        if self.kind == "mas":
            return [_squared_norm(main_output(outputs), batch)]
        if self.needs_single_examples:
            loss = model_loss(outputs)
            return [] if loss is None else [loss.reshape(1)]
        logits, labels = precise(main_output(outputs)), batch.inputs.get("labels")
        if labels is None:
            labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        if self.direct is not None and (direct := self.direct(logits, labels)) is not None:
            return [direct]
        if self.align is None or (aligned := self.align(logits, labels)) is None:
            raise DataError(f"labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(logits.shape)}.")
        logits, labels = aligned
        if self.kind == "exact":
            return _of_every_class(logits)
        if self.kind == "sampled":
            labels = _drawn(logits.detach(), labels, batch.positions, self.seed)
        return [_cross_entropy(-logits if self.kind == "reversed" else logits, labels)]


def find_own_loss(model: nn.Module, batch: Batch, kind: str, seed: int) -> OwnLoss:
    """How the losses of single examples follow from the logits of `model`, tried on the rows of `batch`.

    Raises:
        DataError: there is no label.
        ModelError: the model does not take the inputs, gives no loss, or `kind` needs the probabilities of classes and
            there are none.
    """
    try:
        with torch.no_grad():
            tried = [(model(**row.inputs), row.inputs.get("labels")) for row in batch.one_by_one()]
    except TypeError as error:
        names = ", ".join(batch.inputs)
        raise ModelError(
            f"{type(model).__name__} does not take what the collator makes ({names}): {error}; pass another "
            "collate_fn."
        ) from error
    if kind == "mas":
        return OwnLoss(kind=kind)
    found = _recognised(model, tried, kind, seed)
    if kind != "empirical" and found.align is None:
        raise ModelError(
            f"kind='{kind}' needs the probabilities of classes, but the loss of {type(model).__name__} is no cross "
            "entropy of its logits; use 'empirical' or 'mas'."
        )
    if kind == "exact":
        _refuse_many_classes(main_output(tried[0][0]), found)
    return found


def main_output(outputs: Any) -> torch.Tensor:
    """The logits, or what a model without a head gives: the last hidden states."""
    if isinstance(outputs, torch.Tensor):
        return outputs
    for name in ("logits", "last_hidden_state"):
        if isinstance(outputs, dict) and isinstance(outputs.get(name), torch.Tensor):
            return outputs[name]
    if isinstance(outputs, tuple):
        return next(part for part in outputs if isinstance(part, torch.Tensor) and part.ndim)
    raise ModelError(f"a {type(outputs).__name__} holds no 'logits'; give the model's output that name.")


def model_loss(outputs: Any) -> torch.Tensor | None:
    """The loss that the model computed itself."""
    if isinstance(outputs, dict):
        return outputs.get("loss")
    first = outputs[0] if isinstance(outputs, tuple) else None
    return first if isinstance(first, torch.Tensor) and first.ndim == 0 else None


def _recognised(model: nn.Module, tried: list[tuple[Any, Any]], kind: str, seed: int) -> OwnLoss:
    own = [model_loss(outputs) for outputs, _ in tried]
    labels = tried[0][1]
    if own[0] is None and labels is None:
        if kind in ("sampled", "exact") and main_output(tried[0][0]).ndim == 2:
            return OwnLoss(kind=kind, align=_classes, seed=seed)  # these need no labels
        raise DataError("the examples have no 'labels', so there is no loss; add them, or use importance='mas'.")
    if own[0] is None:
        raise ModelError(
            f"{type(model).__name__} gives no loss for labels; use importance='mas', which needs none, or pass a "
            "saved Fisher."
        )
    if not isinstance(labels, torch.Tensor):
        return OwnLoss(kind=kind, seed=seed)
    candidates = [OwnLoss(kind="empirical", align=align) for align in (_classes, _tokens, _next_tokens)]
    candidates += [OwnLoss(kind="empirical", direct=direct) for direct in (_squared_error, _binary)]
    errors = [_error(candidate, tried, own) for candidate in candidates]
    best = int(np.argmin(errors))
    precise = main_output(tried[0][0]).dtype in (torch.float32, torch.float64)
    if errors[best] > (1e-4 if precise else 2e-2):
        return OwnLoss(kind=kind, seed=seed)
    return OwnLoss(kind=kind, align=candidates[best].align, direct=candidates[best].direct, seed=seed)


def _error(candidate: OwnLoss, tried: list[tuple[Any, Any]], own: list[Any]) -> float:
    """How far a form of loss is from the model's own, at worst."""
    worst = 0.0
    for (outputs, labels), expected in zip(tried, own, strict=True):
        try:
            found = candidate(outputs, Batch(inputs={"labels": labels}, positions=(0,)))[0]
        except DataError:
            return float("inf")
        if torch.isfinite(expected):  # of an example without any label it is 0 / 0
            worst = max(worst, float((found - expected.float()).abs() / expected.float().abs().clamp_min(1.0)))
    return worst


def _classes(logits: torch.Tensor, labels: torch.Tensor) -> Aligned | None:
    fits = logits.ndim == 2 and labels.numel() == len(logits) and not labels.is_floating_point()
    return (logits[:, None], labels.reshape(-1, 1)) if fits and logits.shape[1] > 1 else None


def _tokens(logits: torch.Tensor, labels: torch.Tensor) -> Aligned | None:
    fits = logits.ndim == 3 and labels.shape == logits.shape[:2] and not labels.is_floating_point()
    return (logits, labels) if fits else None


def _next_tokens(logits: torch.Tensor, labels: torch.Tensor) -> Aligned | None:
    return (logits[:, :-1], labels[:, 1:]) if _tokens(logits, labels) is not None else None


def _squared_error(logits: torch.Tensor, labels: torch.Tensor) -> Losses | None:
    fits = labels.numel() == logits.numel()
    return (
        ((logits - labels.view_as(logits).to(logits.dtype)) ** 2).flatten(1).mean(1)
        if fits and logits.ndim == 2
        else None
    )


def _binary(logits: torch.Tensor, labels: torch.Tensor) -> Losses | None:
    if labels.shape != logits.shape or not labels.is_floating_point():
        return None
    return (
        functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
        .flatten(1)
        .mean(1)
    )


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> Losses:
    """Mean over the labelled items of each example; 0 where there are none."""
    each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none")
    counts = (labels != IGNORED).sum(1).clamp_min(1)
    return each.view(labels.shape).sum(1) / counts


def _of_every_class(logits: torch.Tensor) -> list[Losses]:
    """-log p(c) for every class c, times sqrt(p(c)): squared gradients then add up to the expectation over classes."""
    log_probabilities = functional.log_softmax(logits[:, 0], dim=-1)
    scaled = -log_probabilities * log_probabilities.detach().div(2).exp()
    return list(scaled.unbind(1))


def _drawn(logits: torch.Tensor, labels: torch.Tensor, positions: tuple[int, ...], seed: int) -> torch.Tensor:
    """Labels drawn from the model's own distribution where there were labels; a function of seed and example alone."""
    drawn = labels.clone()
    for row, position in enumerate(positions):
        where = labels[row] != IGNORED
        steps = functional.softmax(logits[row, where].double(), dim=-1).cumsum(-1)
        random = np.random.default_rng((seed, position)).random((len(steps), 1))
        levels = torch.from_numpy(random).to(steps.device) * steps[:, -1:]
        drawn[row, where] = torch.searchsorted(steps, levels).squeeze(1).clamp_max(logits.shape[-1] - 1)
    return drawn


def _squared_norm(output: torch.Tensor, batch: Batch) -> Losses:
    """Squared L2 norm of the output of each example; of an output per token, the mean over real tokens."""
    squares = precise(output) ** 2
    if squares.ndim != 3:
        return squares.flatten(1).sum(1)
    return _mean_over(squares.sum(2), _real_tokens(squares.shape[:2], batch))


def _real_tokens(shape: torch.Size, batch: Batch) -> torch.Tensor | None:
    labels = batch.inputs.get("labels")
    masks = (
        batch.inputs.get("decoder_attention_mask"),
        None if labels is None else labels != IGNORED,  # kept for encoder-decoders alone
        batch.inputs.get("attention_mask"),
    )
    return next((mask for mask in masks if mask is not None and mask.shape == shape), None)


def _mean_over(values: torch.Tensor, mask: torch.Tensor | None) -> Losses:
    if mask is None:
        return values.mean(1)
    return (values * mask).sum(1) / mask.sum(1).clamp_min(1)


def _refuse_many_classes(logits: torch.Tensor, found: OwnLoss) -> None:
    if found.align is not _classes:
        raise ModelError("kind='exact' is for one label per example, but here every token has one; use 'sampled'.")
    if logits.shape[-1] > MOST_CLASSES:
        raise ModelError(
            f"kind='exact' takes a backward pass for each class, and there are {logits.shape[-1]}, more than "
            f"{MOST_CLASSES}; use 'sampled'."
        )
