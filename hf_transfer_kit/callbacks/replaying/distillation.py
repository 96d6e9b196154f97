"""DER++: keep the logits on old rows near those that the model gave before training.

    loss += strength * mean((logits now - logits at the start)^2)      over some old rows, drawn at each step

It has a forward and backward pass of its own at the beginning of each optimizer step, on the model inside the wrapper:
gradients wait in `.grad` and are averaged over processes together with those of the batch, under DDP and accumulation
alike, whatever collator and loss the Trainer has.

Source: Buzzega et al. 2020, "Dark Experience for General Continual Learning" (arXiv:2004.07211), equation 6.
"""

import random as python_random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, send_to_device
from torch import nn
from torch.nn.functional import mse_loss

from hf_transfer_kit.callbacks.replaying.content import digest
from hf_transfer_kit.callbacks.replaying.memory import Memory
from hf_transfer_kit.callbacks.replaying.mixing import old_rows_for
from hf_transfer_kit.callbacks.replaying.readout import Collate, batches, logits_by_row
from hf_transfer_kit.errors import ModelError, PlanError, ResourceError, UnsupportedSetupError
from hf_transfer_kit.isolation import undisturbed, undisturbed_randomness

MOST_MIB = 1024  # of stored logits, in each process


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLogits:
    """What the model said about every row of the memory.

    Fields:
        values: (tokens of all rows, classes), row after row; a row that is classified as a whole counts as one token.
        starts: (rows + 1), where each row begins in `values`.
    """

    values: torch.Tensor
    starts: torch.Tensor

    def of(self, rows: list[int]) -> torch.Tensor:
        """Those of `rows`, one after the other."""
        return torch.cat([self.values[self.starts[row] : self.starts[row + 1]] for row in rows])


def store_logits(model: nn.Module, memory: Memory, collate: Collate, args: Any) -> StoredLogits:
    """The logits of `model` on the memory, in eval mode, in its own precision, on the CPU.

    Raises:
        ResourceError: they would need more than `MOST_MIB`.
        PlanError: the collator changes rows at random, so that logits of two passes cannot be compared.
        ModelError: the model gives no logits for each row.
        UnsupportedSetupError: the model is sharded.
    """
    if AcceleratorState().distributed_type == DistributedType.FSDP:
        raise UnsupportedSetupError("Replay(distill=...) cannot work under FSDP; use distill=0, or DDP.")
    _refuse_random_collator(memory, collate, args)
    found: list[torch.Tensor] = []
    with undisturbed(model), torch.no_grad():
        for batch, size in batches(memory, collate, args):
            outputs = model(**batch)
            found += [row.cpu() for row in logits_by_row(outputs, batch, size, _has_decoder(model))]
            _check_room(found, len(memory))
    starts = np.cumsum([0, *map(len, found)])
    return StoredLogits(values=torch.cat(found), starts=torch.from_numpy(starts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """The pull towards the stored logits.

    Fields:
        strength: weight of the mean squared difference, in loss units.
        ratio: as in Replay; as many old rows are drawn for a step as Replay adds to one batch, but one at least.
        collate: makes a batch of old rows alone.
    """

    memory: Memory
    stored: StoredLogits
    collate: Collate
    strength: float
    ratio: float
    seed: int

    def add_gradient(self, args: Any, step: int, model: Any, optimizer: Any) -> torch.Tensor:
        """Adds the gradient of the loss to `.grad` and returns the loss of this process's rows."""
        random = np.random.default_rng([self.seed, args.process_index, step, 1])
        count = old_rows_for(args.per_device_train_batch_size, self.ratio, random)
        rows = self.memory.draw(max(1, count), random)
        batch = send_to_device(self.collate([self.memory[row] for row in rows]), args.device)
        model.train()  # as the Trainer does at the next line; after an evaluation it is not
        now = torch.cat(logits_by_row(model(**batch), batch, len(rows), _has_decoder(model)))
        before = self.stored.of(rows).to(now.device)
        if before.shape != now.shape:
            raise ModelError(
                f"Replay(distill=...): logits {tuple(now.shape)} cannot be compared with the stored "
                f"{tuple(before.shape)}: the old rows changed in length since. Pass rows that stay as they are."
            )
        loss = self.strength * mse_loss(now.float(), before.float())
        scaler = getattr(optimizer, "scaler", None)
        (loss if scaler is None else scaler.scale(loss)).backward()
        return loss.detach()


def _check_room(found: list[torch.Tensor], rows: int) -> None:
    each = sum(row.numel() * row.element_size() for row in found) / len(found) / 2**20
    if each * rows > MOST_MIB:
        raise ResourceError(
            f"Replay(distill=...): the logits of {rows} old rows need {each * rows:,.0f} MiB, more than {MOST_MIB}; "
            f"keep fewer rows: memory={int(MOST_MIB / each)} fits."
        )


def _refuse_random_collator(memory: Memory, collate: Collate, args: Any) -> None:
    seen = set()
    for seed in (0, 1):
        with undisturbed_randomness():
            for start in (torch.manual_seed, np.random.seed, python_random.seed):
                start(seed)
            seen.add(digest(next(batches(memory, collate, args))))
    if len(seen) > 1:
        raise PlanError(
            "Replay(distill=...): rows come out of the data set or collator changed at random (masked, augmented), so "
            "that stored logits would be those of other inputs; use distill=0."
        )


def _has_decoder(model: Any) -> bool:
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))
