"""Floating-point operations of a training: counted on a few real rows, scaled by the padded size of all steps."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from hf_transfer_kit.approaches.loop import OrderedTrainer, loss_per_labelled_row
from hf_transfer_kit.approaches.protections import Protections
from hf_transfer_kit.approaches.rows import LABEL, Rows
from hf_transfer_kit.measure import flop_counter
from hf_transfer_kit.models import device
from hf_transfer_kit.plan import Protection

COUNTED_ROWS = 8  # rows of the step that is counted


def unit_flops(model: Any, rows: Rows, phases: Sequence[Collection[str]] = ()) -> list[float]:
    """Operations of forward and backward per unit of padded size (token or image), in each of `phases`.

    Args:
        phases: names of the parameters that train in each; none: one phase, in which all that is trainable trains.
    """
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    counts = []
    for names in phases or [trainable.keys()]:
        for name, parameter in trainable.items():
            parameter.requires_grad_(name in names)
        counts.append(_count(model, rows))
    for parameter in trainable.values():
        parameter.requires_grad_(True)
    return counts


def _count(model: Any, rows: Rows) -> float:
    batch = rows.collate([rows[i] for i in range(min(COUNTED_ROWS, len(rows)))])
    size = len(batch[LABEL]) * int(rows.lengths[: len(batch[LABEL])].max())
    batch = {name: tensor.to(device()) for name, tensor in batch.items()}
    labels = batch.pop(LABEL)
    model.eval()  # a forward pass in train mode would move the statistics of batch norms
    with flop_counter() as counter:
        loss_per_labelled_row(model(**batch), labels).backward()
    model.zero_grad(set_to_none=True)
    return float(counter.get_total_flops()) / size


def training_flops(per_unit: Sequence[float], trainer: OrderedTrainer, guard: Protections, asked: Protection) -> float:
    """Operations of all steps and of estimating importance; evaluations (a few per cent) are left out.

    Args:
        per_unit: as `unit_flops` counted it.
    """
    steps, order = trainer.state.global_step, trainer.order
    steps_per_epoch = len(order.batches(0))
    starts = np.linspace(0.0, guard.all_open_after, len(per_unit)) * steps_per_epoch
    lengths = np.diff(np.minimum([*starts, np.inf], steps))
    units = order.padded_size(0) / steps_per_epoch  # of one step
    replayed = 1.0 if asked.replay is None else 1.0 / (1.0 - asked.replay.ratio)
    total = float(np.dot(per_unit, lengths)) * units * replayed
    if asked.ewc is not None and asked.ewc.strength != 0:
        total += per_unit[-1] * guard.old_size * min(asked.ewc.n_examples / max(guard.old_rows, 1), 1.0)
    return total
