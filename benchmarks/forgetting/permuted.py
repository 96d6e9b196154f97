"""Permuted digits and Fashion-MNIST: does the kit forget less than avalanche? This side, and the table of both.

python -m benchmarks.forgetting.permuted --data FOLDER
"""

import tempfile
import time
from typing import Any

from benchmarks.forgetting.permuted_tasks import (
    GAMMA,
    Order,
    Setting,
    Task,
    accuracies,
    carry_out,
    make_network,
    options,
    remembered,
)

# isort: split
import torch
from torch import nn
from transformers import PrinterCallback, Trainer, TrainingArguments, default_data_collator
from transformers.utils import logging

from benchmarks.forgetting.permuted_table import print_table
from hf_transfer_kit import EWC, Replay

SIDE = "hf_transfer_kit"
LIBRARIES = ("torch", "transformers", "accelerate", "numpy", "scikit-learn")
FIRST = [0.001, 0.01, 0.1, 1.0]
Row = dict[str, Any]


class Perceptron(nn.Module):
    """The network as a Trainer takes it: named columns in, loss and logits out."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        logits = self.body(inputs)
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class InOrder(Trainer):
    """A Trainer that takes its rows in a given order."""

    order: Order

    def _get_train_sampler(self, train_dataset: Any = None) -> Order:
        return self.order


def rows_of(task: Task) -> list[Row]:
    return [{"inputs": x, "labels": y} for x, y in zip(task.train, task.train_labels.tolist(), strict=True)]


def learn(
    method: str, setting: Setting, tasks: list[Task], seed: int, strength: float | None
) -> tuple[list[list[float]], list[float]]:
    """Accuracies after each task, and the CPU seconds each took."""
    model = Perceptron(make_network(setting, tasks[0].train.shape[1], seed))
    data, ewc, matrix, seconds = [rows_of(task) for task in tasks], None, [], []
    for number, rows in enumerate(data):
        start = time.process_time()
        callbacks: list[Any] = []
        if method == "replay" and number:
            kept = remembered([len(old) for old in data[:number]], seed)
            memory = [old[i] for old, positions in zip(data, kept, strict=False) for i in positions]
            callbacks = [Replay(memory, ratio=0.5, seed=seed)]
        elif number == 1 and strength is not None:
            ewc = EWC(data[0], strength, n_examples=len(data[0]))
        train(model, rows, [*callbacks, *([ewc] if ewc else [])], setting, Order(len(rows), seed, number))
        if ewc is not None:
            ewc = ewc.after_task(model, rows, gamma=GAMMA if method == "online_ewc" else 1.0)
        seconds.append(time.process_time() - start)
        matrix.append(accuracies(model.body, tasks))
    return matrix, seconds


def train(model: nn.Module, rows: list[Row], callbacks: list[Any], setting: Setting, order: Order) -> None:
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder, num_train_epochs=setting.epochs, per_device_train_batch_size=setting.batch,
            learning_rate=setting.learning_rate, optim={"sgd": "sgd", "adam": "adamw_torch"}[setting.optimizer],
            lr_scheduler_type="constant", max_grad_norm=0.0, use_cpu=True, save_strategy="no", logging_strategy="no",
            report_to="none", disable_tqdm=True, log_level="error", dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = InOrder(model, args, train_dataset=rows, data_collator=default_data_collator, callbacks=callbacks)
        trainer.order = order
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def main() -> None:
    asked = options(str(__doc__))
    logging.set_verbosity_error()
    carry_out(SIDE, learn, FIRST, LIBRARIES, asked)
    print_table(asked.record)


if __name__ == "__main__":
    main()
