"""One example at a time by plain autograd: the yardstick for the batched pass, and what remains without a rule."""

from collections.abc import Mapping

import torch
from torch import nn

from hf_transfer_kit.fisher.batches import Batch
from hf_transfer_kit.fisher.own_loss import OwnLoss
from hf_transfer_kit.fisher.rules import accumulate, precise


def add_one_by_one(
    model: nn.Module, own_loss: OwnLoss, batch: Batch, totals: Mapping[str, torch.Tensor], power: int
) -> None:
    """Adds each example's gradient, squared (`power` 2) or absolute (1), of the parameters named in `totals`."""
    wanted = {name: parameter for name, parameter in model.named_parameters() if name in totals}
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in wanted.values():
        parameter.requires_grad_(True)
    for row in batch.one_by_one():
        with torch.enable_grad():
            losses = own_loss(model(**row.inputs), row)
            for later, loss in zip(reversed(range(len(losses))), losses, strict=True):
                if loss.requires_grad:
                    loss.sum().backward(retain_graph=later > 0)
                for name, parameter in wanted.items():
                    if parameter.grad is not None:
                        accumulate(totals[name], precise(parameter.grad), power)
                        parameter.grad = None
