"""What the Trainer does not hand to a callback, in one place: itself, its wrapped model, the folder it resumes from.

A callback is given the bare model, the optimizer and the data loader (transformers 5.23). Some methods need more: the
wrapper that sums gradients over processes, the checkpoint that was resumed, the way to log. The least magical way that
works is to look up the call stack in `on_train_begin`, which the Trainer calls from a method of its own. Where that
fails (a callback called by other code), `callback.attach(trainer)` says it, and without either everything still works
but slower or with less said: the wrapper is searched among all objects, and the resumed folder is guessed.
"""

import gc
import inspect
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from datasets import Dataset
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer, TrainerCallback

from hf_transfer_kit.callbacks.hosting.loss_scale import warn_about_loss_scale
from hf_transfer_kit.callbacks.hosting.setups import refuse_unsupported
from hf_transfer_kit.errors import PlanError

FOLDER = "hf_transfer_kit"  # in the Trainer's output_dir: what a resumed run must find again


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The training that a callback sits in.

    Fields:
        args, state, model, optimizer, train_dataloader: as the Trainer hands them to callbacks; `model` is not wrapped
            (under FSDP it is).
        trainer: None where it could not be found.
        resumed_from: the checkpoint this training continues from; None for a fresh start.
    """

    args: Any
    state: Any
    model: nn.Module
    optimizer: Any
    train_dataloader: Any
    trainer: Trainer | None
    resumed_from: Path | None

    @property
    def folder(self) -> Path:
        """Where callbacks keep what cannot be derived from the step."""
        return Path(self.args.output_dir) / FOLDER

    @property
    def collate(self) -> Callable[[list[Any]], Any]:
        """The Trainer's own collator, for rows that may have more columns than the training rows."""
        loader = base_dataloader(self.train_dataloader)
        own = getattr(loader.collate_fn, "own", loader.collate_fn)  # without old rows, where Replay began already
        if not isinstance(loader.dataset, Dataset):
            return own  # type: ignore[no-any-return]
        used = loader.dataset.column_names  # those left after the Trainer took out what the model does not take

        def collate(rows: list[Any]) -> Any:
            return own([{name: row[name] for name in used if name in row} for row in rows])

        return collate

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that the optimizer was given, by name: what trains, also where it is frozen for now."""
        given = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        return {name: p for name, p in self.model.named_parameters() if id(p) in given}

    def ddp(self) -> DistributedDataParallel | None:
        """The wrapper that averages gradients over processes, if there is one."""
        if self.trainer is not None:
            wrapped = self.trainer.model_wrapped
            wrapped = getattr(wrapped, "_orig_mod", wrapped)  # torch.compile wraps the wrapper
            return wrapped if isinstance(wrapped, DistributedDataParallel) else None
        wrappers = (o for o in gc.get_objects() if type(o) is DistributedDataParallel and o.module is self.model)
        return next(wrappers, None)

    def log(self, numbers: dict[str, float], control: Any) -> None:
        """Logs `numbers` at the current step, wherever the Trainer logs."""
        if self.trainer is None:
            epoch = {} if self.state.epoch is None else {"epoch": self.state.epoch}
            self.state.log_history.append({**numbers, **epoch, "step": self.state.global_step})
            return
        due = control.should_log
        self.trainer.log(numbers)
        control.should_log = due  # logging clears it, and the Trainer would leave its own loss out (5.23)

    def wait_for_everyone(self) -> None:
        """Returns once all processes are here."""
        if self.args.world_size > 1:
            torch.distributed.barrier()


class HostedCallback(TrainerCallback):
    """A callback that knows the training it sits in.

    Subclasses call `enter` first thing in `on_train_begin`.
    """

    _attached: "weakref.ref[Trainer] | None" = None

    def attach(self, trainer: Trainer) -> Self:
        """Says which Trainer this callback belongs to; needed only where other code calls its hooks."""
        self._attached = weakref.ref(trainer)
        return self

    def enter(self, args: Any, state: Any, model: nn.Module, optimizer: Any, train_dataloader: Any) -> Host:
        """Finds the training around this callback and checks that it can be protected.

        Raises:
            PlanError: the Trainer has another callback of the same class.
            UnsupportedSetupError: the weights are not where a callback can reach them.
        """
        trainer, resumed = _from_the_stack()
        trainer = trainer or (self._attached() if self._attached is not None else None)
        if resumed is None and state.global_step > 0:
            resumed = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        refuse_unsupported(args, model, type(self).__name__)
        if trainer is not None:
            _refuse_second(self, trainer)
            warn_about_loss_scale(trainer)
        return Host(
            args=args, state=state, model=model, optimizer=optimizer, train_dataloader=train_dataloader,
            trainer=trainer, resumed_from=resumed if state.global_step > 0 else None,
        )  # fmt: skip


def base_dataloader(loader: Any) -> Any:
    """The torch data loader inside the one that accelerate made; settings on the outer one are ignored (1.15)."""
    while hasattr(loader, "base_dataloader"):
        loader = loader.base_dataloader
    return loader


def _from_the_stack() -> tuple[Trainer | None, Path | None]:
    """The innermost Trainer at work, and the checkpoint its loop was told to resume from."""
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Trainer):
            resumed = frame.f_locals.get("resume_from_checkpoint")
            return owner, Path(resumed) if isinstance(resumed, str | Path) else None
        frame = frame.f_back
    return None, None


def _refuse_second(callback: TrainerCallback, trainer: Trainer) -> None:
    name = type(callback).__name__
    if sum(type(other) is type(callback) for other in trainer.callback_handler.callbacks) > 1:
        raise PlanError(
            f"the Trainer has two callbacks {name}, which would work against each other; keep one of them."
        )
