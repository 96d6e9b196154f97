"""How much time does a training step take while part of the model is frozen?

    python -m benchmarks.unfreezing.run

One model in one process, on one thread; the Trainer's loop runs a few steps of each kind in turn, many times, so that
whatever else the machine does falls on all kinds alike. A step is all that the Trainer does between the starts of two:
batch, forward, backward, clipping, optimizer, callbacks. Writes results/<date>-<name>.json.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections import defaultdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.against_trainer import LIBRARIES, cpu_model  # sets one thread

# isort: split
import torch
from transformers import (
    AutoModelForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.models import resolve
from hf_transfer_kit.plan import ModelSpec

CLASSES = 4
KINDS = {  # what trains: of MiniLM, a stem (the embeddings), six blocks and a head
    "everything, no callback": None,
    "everything": ["*"],
    "all but the stem": ["head", "block *"],
    "upper half: 3 of 6 blocks": ["head", "block 5", "block 4", "block 3"],
    "head only": ["head"],
}


class Clock(TrainerCallback):
    """CPU and wall seconds of every step but the first ones."""

    def __init__(self, skip: int):
        self.skip, self.cpu_seconds, self.seconds = skip, [], []  # type: ignore[var-annotated]

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        now = time.process_time(), time.perf_counter()
        if state.global_step > self.skip:
            self.cpu_seconds.append(now[0] - self._last[0])
            self.seconds.append(now[1] - self._last[1])
        self._last = now


def random_rows(count: int, length: int, vocabulary: int) -> list[dict[str, Any]]:
    """Rows of `length` random tokens, none of them padding."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1000, vocabulary, (count, length), generator=generator)
    return [
        {"input_ids": row, "attention_mask": torch.ones_like(row), "labels": i % CLASSES}
        for i, row in enumerate(tokens)
    ]


def time_steps(model: Any, opens: list[str] | None, rows: list[dict[str, Any]], asked: argparse.Namespace) -> Clock:
    """A few steps of training in which only `opens` trains."""
    clock = Clock(skip=1)
    others = [] if opens is None else [GradualUnfreezing(schedule=[{"opens": opens}])]
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder, max_steps=asked.steps + 2, per_device_train_batch_size=asked.batch_size, use_cpu=True,
            learning_rate=1e-5, save_strategy="no", report_to="none", disable_tqdm=True, log_level="error",
            logging_strategy="no", dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(model, args, train_dataset=rows, callbacks=[*others, clock])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return clock


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default=MODEL, help="a Hub name or a folder")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--length", type=int, default=64, help="tokens per row")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of a kind before the next one's turn")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each kind; the median of all steps counts")
    parser.add_argument("--name", default="minilm", help="for the record's file name")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    source = resolve(ModelSpec(name=asked.model))
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=CLASSES)
    model.accepts_loss_kwargs = False
    rows = random_rows((asked.steps + 3) * asked.batch_size, asked.length, model.config.vocab_size)
    cpu, wall = defaultdict(list), defaultdict(list)
    for _ in range(asked.rounds):
        for kind, opens in KINDS.items():
            clock = time_steps(model, opens, rows, asked)
            cpu[kind] += clock.cpu_seconds
            wall[kind] += clock.seconds
    report(asked, cpu, wall)


def report(asked: argparse.Namespace, cpu: dict[str, list[float]], wall: dict[str, list[float]]) -> None:
    """Prints a small table and writes the record."""
    whole = median(cpu["everything, no callback"])
    share = {kind: round(median(times) / whole, 3) for kind, times in cpu.items()}
    print(f"{'what trains':28} {'CPU ms':>8} {'wall ms':>8} {'of a whole step':>16}")
    for kind in KINDS:
        print(f"{kind:28} {median(cpu[kind]) * 1000:8.0f} {median(wall[kind]) * 1000:8.0f} {share[kind]:16.2f}")
    record = {
        "question": "CPU seconds of a training step while part of the model is frozen by GradualUnfreezing",
        "date": date.today().isoformat(),
        "model": asked.model if asked.model == MODEL else Path(asked.model).name,
        "batch_size": asked.batch_size,
        "tokens": asked.length,
        "share_of_a_whole_step": share,
        "cpu_seconds": {kind: [round(t, 4) for t in times] for kind, times in cpu.items()},
        "seconds": {kind: [round(t, 4) for t in times] for kind, times in wall.items()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
    }
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}-{asked.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
