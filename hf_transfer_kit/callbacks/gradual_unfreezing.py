"""Gradual unfreezing: train the head first, then open one block after another.

    open at step t = the first  start_blocks + floor(epoch(t) / epochs_per_block)  units of the order

A new head starts at random, and its first gradients would tear at weights that are good already; by the time a block
opens, what lies above it has learned. The units are those of `find_blocks`; the head counts as the first block.

Source: Howard & Ruder 2018, "ULMFiT", section 3.3 (arXiv:1801.06146), for "top_down"; Kumar et al. 2022, "Fine-Tuning
can Distort Pretrained Features and Underperform Out-of-Distribution" (arXiv:2202.10054), for "lp_ft".
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from torch import nn

from hf_transfer_kit.blocks import Blocks, find_blocks
from hf_transfer_kit.callbacks.hosting.host import HostedCallback
from hf_transfer_kit.callbacks.unfreezing.checks import check_head, check_schedule, check_setup
from hf_transfer_kit.callbacks.unfreezing.phases import Unfreezing
from hf_transfer_kit.callbacks.unfreezing.schedule import ORDERS, Phase, Schedule, opened_by_phase, phases_by_block
from hf_transfer_kit.callbacks.unfreezing.timing import Pace, Plateau
from hf_transfer_kit.errors import PlanError, did_you_mean


class GradualUnfreezing(HostedCallback):
    """Trains part of the model at first and opens the rest phase by phase; what is open stays open.

    The optimizer keeps its groups: frozen parameters have no gradient, so it passes them over, without weight decay,
    and their state begins when they open. Only what was trainable at the start is ever touched (adapters of PEFT stay
    the only trainable part). Frozen batch norms keep their statistics; dropout stays on. `plan(model)` shows the
    phases.

    Args:
        epochs_per_block: epochs between two openings, > 0, may be a fraction. For data without a length (with
            max_steps) the whole training counts as one epoch, as in the Trainer: 0.1 is every tenth of the run.
        order: "top_down": head, top block, ..., stem. "bottom_up": head, stem, block 0, ... "lp_ft": head, then all.
        start_blocks: units of the order that are open at the start, >= 1; 1 is the head alone.
        blocks: names of the block modules where they cannot be found, as in `find_blocks`.
        schedule: the phases, instead of epochs_per_block, order and start_blocks: a list of
            `{"opens": ["head", "*.bias"], "epochs": 1.0}` (see `Phase`), or a YAML file, such as
            `plan(model).to_yaml("phases.yaml")` writes.
        warmup_steps: over so many optimizer steps the updates of newly opened parameters grow to full size, >= 0.
        plateau: opens the next phase when this metric of evaluation stalls, not after epochs_per_block; with
            a schedule, its epochs then are the most a phase may last. A name means `Plateau(metric=name)`.

    Raises (before the first step, if not at once):
        PlanError: a setting is out of range, a pattern opens nothing, or nothing trains; later, if an evaluation does
            not log the metric of `plateau`.
        FormatError: the schedule's file cannot be read.
        ModelError: the model has no blocks that can be found; pass `blocks`.
        UnsupportedSetupError: DDP with a static graph, DeepSpeed, FSDP 1.

    Cost: none per step. Frozen blocks below the lowest open one cost no backward pass, so a step with half the blocks
        frozen takes about 0.6 of the time (benchmarks/unfreezing); activation checkpointing of text models takes that
        away, as it sends gradients down to the embeddings. Under torch.compile every phase is compiled anew, and after
        8 of them PyTorch falls back to eager: open several blocks per phase there.
    Multi-GPU: DDP, which at each opening is told what to average: frozen blocks cost no communication. FSDP 2 without
        that saving. DeepSpeed no.
    Resume: the phase is a function of the step and of the Trainer's log; nothing is stored.
    Helps in: all three scenarios of continual learning (task-, domain-, class-incremental; van de Ven & Tolias 2019,
        arXiv:1904.07734), a little: early steps leave the old features alone. It does not protect what later trains.

    A tied output layer (of GPT-2: the embedding) belongs to the stem and opens with it; a warning says so.

    Example:
        >>> trainer = Trainer(model, args, train_dataset=data, callbacks=[GradualUnfreezing(epochs_per_block=0.5)])
    """

    def __init__(
        self,
        epochs_per_block: float = 1.0,
        *,
        order: str = "top_down",
        start_blocks: int = 1,
        blocks: Sequence[str] | None = None,
        schedule: Schedule | Sequence[Phase | Mapping[str, Any]] | str | os.PathLike[str] | None = None,
        warmup_steps: int = 0,
        plateau: Plateau | str | None = None,
    ):
        if not 0 < epochs_per_block < float("inf"):
            raise PlanError(f"epochs_per_block={epochs_per_block} must be > 0; use 1.0 for one block per epoch.")
        if order not in ORDERS:
            raise PlanError(f"order='{order}' is unknown; {did_you_mean(order, ORDERS)}")
        if start_blocks < 1:
            raise PlanError(f"start_blocks={start_blocks} would train nothing; use 1 to start with the head.")
        if warmup_steps < 0:
            raise PlanError(f"warmup_steps={warmup_steps} is negative; use 0 to switch the warm-up off.")
        self.epochs_per_block, self.order, self.start_blocks = float(epochs_per_block), order, start_blocks
        self.blocks, self.warmup_steps = blocks, warmup_steps
        self.plateau = Plateau(metric=plateau) if isinstance(plateau, str) else plateau
        self.schedule = None if schedule is None else Schedule.read(schedule)
        if self.plateau is None and self.schedule and any(p.epochs is None for p in self.schedule.phases[:-1]):
            raise PlanError("schedule: only the last phase may be without 'epochs', unless a plateau ends the others.")
        self._running: Unfreezing | None = None

    def plan(self, model: nn.Module) -> Schedule:
        """The phases in which `model` would be trained: print them, or write them with `to_yaml` for editing.

        Raises:
            PlanError, ModelError: as in training.
        """
        trainable = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
        return self._phases(find_blocks(model, self.blocks), trainable)[0]

    def on_train_begin(self, args, state, control, model, optimizer, train_dataloader, **kwargs):
        self.on_train_end(args, state, control)  # of a training that was broken off
        host = self.enter(args, state, model, optimizer, train_dataloader)
        parameters = {name: p for name, p in host.trainable().items() if p.requires_grad}
        blocks = find_blocks(host.model, self.blocks)
        schedule, opened = self._phases(blocks, {name: p.numel() for name, p in parameters.items()})
        if opened[0] == parameters.keys():
            return  # all is open from the start
        pace = Pace.of(train_dataloader, args, state)
        check_schedule(args, state, schedule, pace, self.plateau)
        check_setup(host, schedule)
        check_head(host.model, blocks, opened[0])
        self._running = Unfreezing(
            host=host, blocks=blocks, parameters=parameters, schedule=schedule, opened=opened, pace=pace,
            plateau=self.plateau, warmup_steps=self.warmup_steps,
        )  # fmt: skip

    def on_step_begin(self, args, state, control, **kwargs):
        if self._running is not None:
            self._running.enter(state)

    def on_step_end(self, args, state, control, **kwargs):
        if self._running is not None and control.should_log:
            self._running.log(control)

    def on_train_end(self, args, state, control, **kwargs):
        if self._running is not None:
            self._running.finish()
            self._running = None

    def _phases(self, blocks: Blocks, trainable: Mapping[str, int]) -> tuple[Schedule, list[frozenset[str]]]:
        """The phases, with the number of open parameters in each, and the names of those that each one adds."""
        schedule = self.schedule
        if schedule is None:
            epochs = self.epochs_per_block if self.plateau is None else self.plateau.most_epochs
            schedule = phases_by_block(
                blocks, trainable, order=self.order, start_blocks=self.start_blocks, epochs=epochs
            )
        opened = opened_by_phase(schedule, blocks, trainable)
        added = (sum(trainable[name] for name in names) for names in opened)
        return replace(schedule, trainable=tuple(accumulate(added))), opened
