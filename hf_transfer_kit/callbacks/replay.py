"""Replay: mix examples of the old task into the batches of the new one.

    rows of a batch = B new + ratio / (1 - ratio) * B old     so that `ratio` is the share of the final batch

Source: Chaudhry et al. 2019, "On Tiny Episodic Memories in Continual Learning" (arXiv:1902.10486).
"""

from functools import partial
from typing import Any, Literal

import torch

from hf_transfer_kit.callbacks.hosting.host import Host, HostedCallback, base_dataloader
from hf_transfer_kit.callbacks.hosting.kept import find_again, keep, note
from hf_transfer_kit.callbacks.replaying.checks import check_memory, refuse_dispatched, report_small_memory
from hf_transfer_kit.callbacks.replaying.content import stamp
from hf_transfer_kit.callbacks.replaying.distillation import Distillation, StoredLogits, store_logits
from hf_transfer_kit.callbacks.replaying.memory import SAMPLERS, Memory, is_stream, remember
from hf_transfer_kit.callbacks.replaying.mixing import Mixing, collate_old, first_row, own_collator
from hf_transfer_kit.callbacks.replaying.readout import last_features
from hf_transfer_kit.errors import OutputError, PlanError, did_you_mean

NAME = "replay"  # of the file that a resumed run finds again


class Replay(HostedCallback):
    """Adds old rows to every batch.

    They go through the Trainer's own collator together with the new ones: losses, label smoothing, accumulation and
    `num_items_in_batch` see one larger batch. No batch holds an old row twice.

    Args:
        data: examples of the old task, prepared like the training data: map-style, iterable, or a DataLoader.
        ratio: share of old rows in the final batch, 0 <= ratio < 1; 0 switches replay off. Where it gives no whole
            number of rows, the draw decides between the two next to it.
        sampler: "uniform" (all rows alike), "class_balanced" (a class first), "reservoir" (a sample of a stream) or
            "herding" (rows that keep the mean of their class); see replaying/memory.py.
        distill: weight of the loss that keeps logits on old rows as they were (DER++; replaying/distillation.py).
        memory: rows kept. None: all of map-style data under "uniform" and "class_balanced", else 1000.
        seed: of the rows kept and drawn.

    Raises:
        PlanError: a setting is out of range.
        DataError: before the first step: the old data is empty, lacks a column of the training data, holds labels that
            the model's head cannot express, or rows of the evaluation set.
        UnsupportedSetupError: the first process hands out the batches of the others (dispatch_batches).
        OutputError: a resumed run finds other old rows than it began with.

    Helps in: task-, domain- and class-incremental learning (van de Ven & Tolias 2019, arXiv:1904.07734); of the kit's
    methods the only one that helps alone in class-incremental learning.
    Cost: 1 / (1 - ratio) times a plain step. Before the first step the memory and the evaluation set are read, and by
    "class_balanced" and "herding" the labels of all old rows. "herding" adds a forward pass over the old data,
    `distill` one over the memory, and in each step a pass forward and back over ratio / (1 - ratio) of a batch.
    Multi-GPU: DDP, and without `distill` FSDP2. Processes draw rows of their own from the same memory.
    Resume: a draw depends on the epoch and what the batch holds; `<output_dir>/hf_transfer_kit/replay.safetensors` has
    the rest. With dataloader_persistent_workers the Trainer's own order of rows is another one (transformers 5.23).

    Example:
        >>> trainer = Trainer(model, args, train_dataset=new, callbacks=[Replay(old, ratio=0.1)])
    """

    def __init__(
        self, data: Any, ratio: float = 0.1, sampler: Literal["uniform", "class_balanced", "reservoir", "herding"]
        = "uniform", distill: float = 0.0, *, memory: int | None = None, seed: int = 0,
    ):  # fmt: skip
        if not 0 <= ratio < 1:
            raise PlanError(f"Replay ratio={ratio} must be >= 0 and < 1: it is the share of old rows in a batch.")
        if distill < 0 or (distill > 0 and ratio == 0):
            raise PlanError(f"Replay distill={distill} must be >= 0, and 0 where ratio is 0 and no rows are drawn.")
        if sampler not in SAMPLERS:
            raise PlanError(f"Replay sampler='{sampler}' is unknown; {did_you_mean(sampler, SAMPLERS)}")
        if memory is not None and memory < 1:
            raise PlanError(f"Replay memory={memory} keeps no rows; use ratio=0 to switch replay off.")
        self.data, self.ratio, self.sampler = data, ratio, sampler
        self.distill, self.memory, self.seed = distill, memory, seed
        self._host: Host | None = None
        self._mixing: Mixing | None = None
        self._distillation: Distillation | None = None

    def on_train_begin(self, args, state, control, model, optimizer, train_dataloader, **kwargs):
        self._host = self._mixing = self._distillation = None  # of a training that was broken off
        if self.ratio == 0:
            return
        self._host = host = self.enter(args, state, model, optimizer, train_dataloader)
        refuse_dispatched(train_dataloader, args)
        own = own_collator(base_dataloader(train_dataloader))
        collate = partial(collate_old, own=own, new=first_row(base_dataloader(train_dataloader)))
        kept = find_again(host, NAME) if self._keeps() and state.global_step > 0 else {}
        memory = self._remember(host, collate, kept)
        check_memory(memory, host)
        report_small_memory(memory, self.ratio, host)
        if self._keeps() and not kept:
            kept = self._to_keep(host, collate, memory)
            keep(host, NAME, kept)
        self._mixing = Mixing(own, memory, ratio=self.ratio, seed=self.seed, rank=args.process_index)
        self._mixing.epoch.fill_(int(state.epoch or 0) - 1)
        if self.distill:
            self._distillation = Distillation(
                memory=memory, stored=StoredLogits(values=kept["logits"], starts=kept["starts"]), collate=collate,
                strength=self.distill, ratio=self.ratio, seed=self.seed,
            )  # fmt: skip
            if host.trainer is not None:  # its backward pass must see what the others freeze or open for the step
                others = [other for other in host.trainer.callback_handler.callbacks if other is not self]
                host.trainer.callback_handler.callbacks = [*others, self]

    def on_epoch_begin(self, args, state, control, train_dataloader, **kwargs):
        if self._mixing is not None:
            self._mixing.epoch += 1
            # Not earlier: in on_train_begin other callbacks look for the Trainer's own collator.
            base_dataloader(train_dataloader).collate_fn = self._mixing

    def on_step_begin(self, args, state, control, model, optimizer, **kwargs):
        if self._distillation is not None:
            self._loss = self._distillation.add_gradient(args, state.global_step, model, optimizer)

    def on_step_end(self, args, state, control, **kwargs):
        if self._host is not None and self._distillation is not None and control.should_log:
            self._host.log({"replay_distill": float(self._loss)}, control)

    def on_save(self, args, state, control, **kwargs):
        if self._host is not None and self._keeps():
            note(self._host, NAME)

    def on_train_end(self, args, state, control, train_dataloader, **kwargs):
        if self._mixing is not None:
            base_dataloader(train_dataloader).collate_fn = self._mixing.own
        self._host = self._mixing = self._distillation = None

    def _keeps(self) -> bool:
        """Whether there is something that a resumed run cannot derive again, or could derive differently."""
        return self.sampler == "herding" or self.distill > 0 or is_stream(self.data)

    def _remember(self, host: Host, collate: Any, kept: dict[str, torch.Tensor]) -> Memory:
        features = partial(last_features, host.model, collate=collate, args=host.args)
        memory = remember(self.data, self.sampler, self.memory, self.seed, features, kept.get("positions"))
        if "rows" in kept and not torch.equal(kept["rows"], stamp(memory)):
            raise OutputError(
                "the run resumes, but the stream of old data gives other rows than when it began; give the stream a "
                "fixed order, or pass a map-style data set."
            )
        return memory

    def _to_keep(self, host: Host, collate: Any, memory: Memory) -> dict[str, torch.Tensor]:
        kept = {"rows": stamp(memory)} if is_stream(self.data) else {}
        if self.sampler == "herding":
            kept["positions"] = torch.as_tensor(memory.positions)
        if self.distill:
            stored = store_logits(host.model, memory, collate, host.args)
            kept |= {"logits": stored.values, "starts": stored.starts}
        return kept
