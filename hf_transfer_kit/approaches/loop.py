"""The training loop of the kit: transformers.Trainer, with an order of rows and a loss that do not depend on how many
processes and micro-batches share the work, early stopping, and checkpoints a killed run can continue from.

Loss: sum over the labelled rows of the whole optimizer step divided by their number. The Trainer's default for
BERT-like classifiers averages each micro-batch and does not divide by their number (transformers 5.23): gradients come
out larger by processes x accumulation.
"""

import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainerCallback, TrainingArguments

from hf_transfer_kit.approaches.rows import BatchOrder, Rows
from hf_transfer_kit.callbacks.hosting.host import FOLDER as CALLBACKS_FOLDER
from hf_transfer_kit.errors import MissingExtraError, PlanError, UnsupportedSetupError, did_you_mean
from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.plan import Training
from hf_transfer_kit.termination import Terminated, a_checkpoint_first, termination_asked

BEST_FILE = "best.safetensors"
MOST_EVALUATIONS = 10  # of a short run with many passes; longer ones evaluate once an epoch
LONGEST_INTERVAL = 1000  # steps between two evaluations of a long epoch
LOGS = 50  # of the training loss, for a curve to be watched


class OrderedTrainer(Trainer):
    """A Trainer whose rows come in a given order; nothing else is changed."""

    def __init__(self, *, order: BatchOrder, **settings: Any):
        self.order = order
        super().__init__(**settings)

    def _get_train_sampler(self, train_dataset: Any = None) -> BatchOrder:
        return self.order


class LoopCallback(TrainerCallback):
    """Keeps the best weights, stops when validation no longer improves, checkpoints by the clock and when it has to
    end, says how far it is.

    Args:
        stage: what it calls the training in events.
        patient_until: epochs during which it does not stop, since parts of the model are still frozen.

    Cost: one copy of what trains. Multi-GPU: the first process's clock decides for all when to checkpoint. Resume: the
    best weights lie beside each checkpoint; best value and patience are read from the Trainer's own log.
    """

    def __init__(
        self, order: BatchOrder, training: Training, events: EventWriter, resume_from: Path | None, *,
        stage: str = "training", patient_until: float = 0.0,
    ):  # fmt: skip
        self._order, self._training, self._events, self._resume_from = order, training, events, resume_from
        self._stage, self._patient_until = stage, patient_until
        self._trained: dict[str, torch.Tensor] = {}
        self._best: dict[str, torch.Tensor] = {}
        self._last_saved = time.monotonic()
        self._ending = False  # it was asked to end: one more checkpoint

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any, optimizer: Any, **kwargs: Any) -> None:
        self._trained = _state(model, optimizer)
        if self._resume_from is not None:
            self._best = load_file(self._resume_from / BEST_FILE)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # A resumed epoch of several processes hides the sampler from accelerate's own set_epoch (accelerate 1.15).
        self._order.set_epoch(int((state.epoch or 0) + 1e-6))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._events.progress(self._stage, state.global_step, state.max_steps)
        if self._any(args, termination_asked()):
            self._ending = control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        numbers = {name: float(value) for name, value in logs.items() if isinstance(value, int | float)}
        self._events.write(
            "log", stage=self._stage, done=state.global_step, total=state.max_steps, message="", **numbers
        )

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        losses = _validation_losses(state)
        if math.isinf(min(losses)):
            raise PlanError(
                f"training diverged: after {state.global_step} steps the validation loss is no finite number; lower "
                "the approach's learning_rate."
            )
        since_best = len(losses) - 1 - int(np.argmin(losses))
        if since_best == 0:
            self._best = {name: p.detach().cpu().clone().contiguous() for name, p in self._trained.items()}
        epochs = [entry["epoch"] for entry in state.log_history if "eval_nll" in entry]
        waited = min(since_best, sum(epoch > self._patient_until + 1e-6 for epoch in epochs))
        control.should_training_stop = control.should_training_stop or waited >= self._training.patience
        control.should_save = self._ending or (not control.should_training_stop and self._is_time(args))

    def _is_time(self, args: Any) -> bool:
        due = time.monotonic() - self._last_saved >= self._training.checkpoint_seconds
        return self._any(args, due and args.process_index == 0)

    def _any(self, args: Any, here: bool) -> bool:
        """Whether it is so in any process: all must save, or none."""
        if args.world_size == 1:
            return here
        anywhere = torch.tensor(float(here), device=args.device)
        torch.distributed.all_reduce(anywhere, op=torch.distributed.ReduceOp.MAX)
        return bool(anywhere)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if args.world_size > 1:
            torch.distributed.barrier()  # every process has written its random state
        if state.is_world_process_zero:
            save_file(self._best, folder / f".{BEST_FILE}")
            (folder / f".{BEST_FILE}").replace(folder / BEST_FILE)  # its presence says that the checkpoint is complete
            remove_checkpoints(folder.parent, except_for=folder)  # the Trainer's own limit would act before this point
        self._last_saved = time.monotonic()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._ending:
            raise Terminated
        with torch.no_grad():
            for name, value in self._trained.items():
                value.copy_(self._best[name])


def _state(model: nn.Module, optimizer: Any) -> dict[str, torch.Tensor]:
    """What training changes: the optimizer's parameters (some may be frozen for now), statistics of batch norms."""
    given = {id(p) for group in optimizer.param_groups for p in group["params"]}
    state: dict[str, torch.Tensor] = {name: p for name, p in model.named_parameters() if id(p) in given}
    return state | {name: b for name, b in model.named_buffers() if name.endswith(("running_mean", "running_var"))}


def _validation_losses(state: Any) -> list[float]:
    """The validation loss of every evaluation so far, infinite where it is not a number."""
    losses = [entry["eval_nll"] for entry in state.log_history if "eval_nll" in entry]
    return [loss if math.isfinite(loss) else math.inf for loss in losses]


def history(state: Any) -> dict[str, Any]:
    """Steps, the best of them, and validation loss and accuracy of every evaluation, for the record."""
    log = [entry for entry in state.log_history if "eval_nll" in entry]
    losses = _validation_losses(state)
    best = log[int(np.argmin(losses))]
    return {
        "steps": state.global_step,
        "best_step": best["step"],
        "best_epoch": round(best["epoch"], 2),
        "validation_nll": [round(loss, 6) if math.isfinite(loss) else None for loss in losses],
        "validation_accuracy": [round(entry["eval_accuracy"], 6) for entry in log],
    }


def loss_per_labelled_row(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """Cross-entropy summed over the labelled rows of a micro-batch, divided by those of the whole optimizer step.

    Args:
        outputs: with `logits` (batch, classes). labels: (batch,), -100 for fillers.
        num_items_in_batch: labelled rows of the step over all micro-batches and processes; None: of this micro-batch.
    """
    total = cross_entropy(outputs.logits.float(), labels, reduction="sum")
    count = num_items_in_batch if num_items_in_batch is not None else (labels != -100).sum().clamp(min=1)
    return total / count


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`; incomplete ones (a run killed while it wrote) are removed."""
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]), reverse=True)
    for checkpoint in checkpoints:
        try:
            load_file(checkpoint / BEST_FILE)
            return checkpoint
        except (OSError, SafetensorError):
            shutil.rmtree(checkpoint, ignore_errors=True)
    return None


def remove_checkpoints(folder: Path, except_for: Path | None = None) -> None:
    """Removes the checkpoints in `folder`; without one to keep, also what callbacks kept for them, and `folder`."""
    for checkpoint in folder.glob("checkpoint-*"):
        if checkpoint != except_for:
            shutil.rmtree(checkpoint, ignore_errors=True)
    if except_for is None:
        shutil.rmtree(folder / CALLBACKS_FOLDER, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def train(
    model: Any, optimizer: torch.optim.Optimizer, train_rows: Rows, validation_rows: Rows, training: Training, *,
    seed: int, folder: Path, events: EventWriter, callbacks: tuple[TrainerCallback, ...] = (),
    stage: str = "training", patient_until: float = 0.0,
) -> OrderedTrainer:  # fmt: skip
    """Trains `model` in place, ending at its best weights on validation; returns the Trainer, for its state.

    Args:
        folder: for checkpoints; a complete one in it is continued from.
        stage, patient_until: as in LoopCallback.

    Raises:
        PlanError: the batch size cannot be spread evenly over processes and micro-batches, a tracker is unknown, or
            training diverges.
        MissingExtraError: a tracker's package is not installed.
        Terminated: SIGTERM came; a checkpoint is written.
        UnsupportedSetupError: the model cannot do gradient checkpointing.
    """
    _check_setup(training, model)
    checkpoint = last_checkpoint(folder)
    args = _arguments(training, len(train_rows), seed, folder)
    pieces = args.world_size * training.accumulation > 1
    batch_norms = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    order = BatchOrder(train_rows.lengths, training.batch_size, fill=pieces or batch_norms, seed=seed)
    loop = LoopCallback(order, training, events, checkpoint, stage=stage, patient_until=patient_until)
    # The loss below does the counting; the model, which peft may wrap, must not be handed the count.
    _without_adapters(model).accepts_loss_kwargs = False
    trainer = OrderedTrainer(
        order=order, model=model, args=args, train_dataset=train_rows, eval_dataset=validation_rows,
        data_collator=train_rows.collate, compute_loss_func=loss_per_labelled_row, compute_metrics=_metrics,
        optimizers=(optimizer, None), callbacks=[loop, *callbacks],
    )  # fmt: skip
    with a_checkpoint_first():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # takes bf16 autocast out of its forward again
    return trainer


def _check_setup(training: Training, model: Any) -> None:
    """Raises, before the first step, what the Trainer would raise later in words of its own."""
    from transformers.integrations import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations

    for name in training.report_to:
        if name not in INTEGRATION_TO_CALLBACK:
            hint = did_you_mean(name, INTEGRATION_TO_CALLBACK)
            raise PlanError(f"training.report_to='{name}' is not a tracker that the Trainer knows; {hint}")
        if name not in get_available_reporting_integrations():
            raise MissingExtraError(f"training.report_to='{name}' needs its package: pip install {name}")
    if training.gradient_checkpointing and not _without_adapters(model).supports_gradient_checkpointing:
        raise UnsupportedSetupError(
            f"{type(_without_adapters(model)).__name__} cannot recompute its activations; set "
            "training.gradient_checkpointing to false, and raise training.accumulation to save memory."
        )


def _without_adapters(model: Any) -> Any:
    """The model of transformers inside `model`, which peft may have wrapped."""
    from peft import PeftModel

    return model.get_base_model() if isinstance(model, PeftModel) else model


def most_epochs(training: Training, rows: int) -> int:
    """How often `rows` training examples are passed, unless validation stops it earlier."""
    return max(training.epochs, -(-training.min_steps // -(-rows // training.batch_size)))


def _arguments(training: Training, rows: int, seed: int, folder: Path) -> TrainingArguments:
    """The Trainer's settings for `rows` training examples."""
    steps_per_epoch, epochs = -(-rows // training.batch_size), most_epochs(training, rows)
    interval = min(max(steps_per_epoch, -(-epochs * steps_per_epoch // MOST_EVALUATIONS)), LONGEST_INTERVAL)
    gpu = torch.cuda.is_available()
    bf16 = training.precision == "bf16" or (training.precision == "auto" and gpu and torch.cuda.is_bf16_supported())
    args = TrainingArguments(
        output_dir=str(folder), seed=seed, data_seed=seed, use_cpu=not gpu, bf16=bf16,
        num_train_epochs=epochs, per_device_train_batch_size=1, per_device_eval_batch_size=64,
        gradient_accumulation_steps=training.accumulation, average_tokens_across_devices=True,
        weight_decay=training.weight_decay, warmup_steps=training.warmup_share, lr_scheduler_type="linear",
        eval_strategy="steps", eval_steps=interval, save_strategy="no",
        logging_strategy="steps", logging_steps=min(interval, max(1, epochs * steps_per_epoch // LOGS)),
        report_to=list(training.report_to) or "none",
        remove_unused_columns=False, label_names=["labels"], disable_tqdm=True, log_level="warning",
        gradient_checkpointing=training.gradient_checkpointing or None, dataloader_pin_memory=gpu,
    )  # fmt: skip
    args._n_gpu = min(args.n_gpu, 1)  # one process, one GPU: DataParallel would multiply the batch
    shares = args.world_size * training.accumulation
    if training.batch_size % shares:
        raise PlanError(
            f"training.batch_size={training.batch_size} cannot be spread evenly over {args.world_size} processes x "
            f"{training.accumulation} micro-batches; use a multiple of {shares}."
        )
    args.per_device_train_batch_size = training.batch_size // shares
    return args


def _metrics(prediction: Any) -> dict[str, float]:
    from hf_transfer_kit.metrics import accuracy, log_softmax, negative_log_likelihood

    logits, labels = np.asarray(prediction.predictions, dtype=np.float64), prediction.label_ids
    diverged = not np.isfinite(logits).all()
    return {
        "nll": math.inf if diverged else negative_log_likelihood(log_softmax(logits), labels),
        "accuracy": accuracy(labels, logits.argmax(axis=1)),
    }
