"""A warning for Trainers whose loss grows with the number of processes and micro-batches.

The Trainer takes a `forward(**kwargs)` as a promise that the model divides its loss by `num_items_in_batch`, and then
divides by nothing itself. Classifiers of transformers 5.23 accept the argument and ignore it: their gradients come out
larger by processes x accumulation, and every setting that is relative to the loss means something else.
"""

import warnings
import weakref
from collections.abc import Mapping
from typing import Any

import torch

from hf_transfer_kit.isolation import undisturbed, undisturbed_randomness

_warned: "weakref.WeakSet[Any]" = weakref.WeakSet()


def warn_about_loss_scale(trainer: Any) -> None:
    """Warns once per Trainer if its loss is multiplied by processes x accumulation; one example is tried.

    Data that can only be iterated over is not tried.
    """
    shares = trainer.args.world_size * trainer.args.gradient_accumulation_steps
    believes = trainer.model_accepts_loss_kwargs and trainer.loss_is_scaled_for_ga is not False
    own_loss = trainer.compute_loss_func is not None or trainer.label_smoother is not None
    if shares == 1 or not believes or own_loss or trainer in _warned:
        return
    _warned.add(trainer)
    batch = _one_example(trainer)
    if batch is not None and _ignores_the_count(trainer, batch):
        warnings.warn(
            f"{type(trainer.model).__name__} ignores num_items_in_batch: its gradients are {shares} times too large "
            f"({trainer.args.world_size} processes x {trainer.args.gradient_accumulation_steps} micro-batches). Set "
            "model.accepts_loss_kwargs = False before the Trainer is made.",
            stacklevel=2,
        )


def _one_example(trainer: Any) -> Mapping[str, Any] | None:
    loader = trainer.callback_handler.train_dataloader
    while hasattr(loader, "base_dataloader"):
        loader = loader.base_dataloader
    dataset: Any = getattr(loader, "dataset", None)
    if not hasattr(dataset, "__getitem__") or not len(dataset):
        return None
    with undisturbed_randomness():  # examples may be drawn or augmented at random
        batch = loader.collate_fn([dataset[0]])
    return batch if isinstance(batch, Mapping) and "labels" in batch else None


def _ignores_the_count(trainer: Any, batch: Mapping[str, Any]) -> bool:
    losses = []
    with undisturbed(trainer.model), torch.no_grad():
        for count in (1, 2):
            outputs = trainer.model(**trainer._prepare_inputs(dict(batch)), num_items_in_batch=torch.tensor(count))
            losses.append(outputs["loss"] if isinstance(outputs, Mapping) else outputs[0])
    return bool(torch.equal(losses[0], losses[1]))
