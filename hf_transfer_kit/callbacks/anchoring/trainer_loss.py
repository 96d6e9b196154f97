"""The loss of Trainers that do not leave it to the model, as those of sentence-transformers, for importance."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

PREFIX = "model."  # of the inner model's parameters in a `TrainerLoss`


class TrainerLoss(nn.Module):
    """A model whose batches go through its Trainer: what the collator makes in, the Trainer's loss out.

    Args:
        trainer: not registered as a part.
        model: its model.
    """

    def __init__(self, trainer: Any, model: nn.Module):
        super().__init__()
        self.model = model
        object.__setattr__(self, "_trainer", trainer)

    def forward(self, **batch: Any) -> dict[str, torch.Tensor]:
        """`loss`, and as `logits` the embeddings (examples, inputs of one example, width)."""
        embeddings: list[torch.Tensor] = []
        handle = self.model.register_forward_hook(
            lambda _, inputs, made: embeddings.append(made["sentence_embedding"])
        )
        trainer: Any = self.__dict__["_trainer"]
        try:
            loss = trainer.compute_loss(self.model, trainer._prepare_inputs(batch))
        finally:
            handle.remove()
        return {"loss": loss, "logits": torch.stack(embeddings, dim=1)}


def of_trainer(
    trainer: Any, model: nn.Module, estimate: Callable[[nn.Module, Iterable[str]], dict[str, torch.Tensor]],
    names: Iterable[str],
) -> dict[str, torch.Tensor]:  # fmt: skip
    """What `estimate` gives for parameters of `model`, with the Trainer's loss where the model has none."""
    if trainer is None or not isinstance(model, nn.Sequential):  # which takes one input, no batch of named ones
        return estimate(model, names)
    found = estimate(TrainerLoss(trainer, model), [PREFIX + name for name in names])
    return {name.removeprefix(PREFIX): tensor for name, tensor in found.items()}
