"""What does Replay cost? CPU seconds of a training step with old rows in the batch, against a plain step.

python -m benchmarks.replay.run
"""

import argparse
import json
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.against_trainer import cpu_model  # first: it puts both sides on one thread

# isort: split
import numpy as np
import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

from hf_transfer_kit.callbacks.replay import Replay
from hf_transfer_kit.callbacks.replaying.memory import Memory
from hf_transfer_kit.callbacks.replaying.mixing import Mixing
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.models import identity, resolve
from hf_transfer_kit.plan import ModelSpec

RATIOS = (0.1, 0.2, 0.5)
ROWS, TOKENS, CLASSES = 16, 64, 10  # of a batch
WARM_UP = 2  # steps before the clock starts: the optimizer makes its state in the first
LIBRARIES = ("hf-transfer-kit", "torch", "transformers", "accelerate", "datasets", "numpy")


@dataclass(frozen=True)
class Side:
    """A training: `rows` new rows in a batch, and a share of old ones; 0 is a Trainer without the callback."""

    rows: int
    ratio: float


class Clock(TrainerCallback):
    """CPU seconds from the end of the last step of the warm-up to the end of training: fetching batches included."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == WARM_UP:
            self.start = time.process_time()
        self.end = time.process_time()


class Counting(Trainer):
    """Counts the rows of every batch it trains on."""

    def training_step(self, model: Any, inputs: Any, *arguments: Any) -> Any:
        self.rows = [*getattr(self, "rows", []), len(inputs["labels"])]
        return super().training_step(model, inputs, *arguments)


def random_rows(count: int, seed: int) -> Dataset:
    """Rows of `TOKENS` random tokens without padding, so that every batch has the same width."""
    tokens = np.random.default_rng(seed).integers(1000, 30000, (count, TOKENS))
    columns = {"input_ids": tokens.tolist(), "attention_mask": np.ones_like(tokens).tolist()}
    return Dataset.from_dict(columns | {"labels": (np.arange(count) % CLASSES).tolist()})


def train(model: Any, side: Side, steps: int, seed: int) -> tuple[float, list[int]]:
    """CPU seconds of a step, and the rows of each timed batch."""
    new, old, clock = random_rows(side.rows * (WARM_UP + steps), seed), random_rows(1000, seed + 1), Clock()
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=side.rows, max_steps=WARM_UP + steps, seed=seed,
            use_cpu=True, save_strategy="no", report_to="none", disable_tqdm=True, log_level="error",
            dataloader_pin_memory=False,
        )  # fmt: skip
        callbacks = [*([Replay(old, side.ratio)] if side.ratio else []), clock]
        trainer = Counting(model, args, train_dataset=new, data_collator=default_data_collator, callbacks=callbacks)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return (clock.end - clock.start) / steps, trainer.rows[WARM_UP:]


def collating(ratio: float, seed: int) -> float:
    """CPU milliseconds that the draw and the reading of old rows add to collating a batch."""
    rows, old, spent = list(random_rows(ROWS * 50, seed)), random_rows(1000, seed + 1), []
    mixing = Mixing(default_data_collator, Memory(rows=old, positions=range(len(old))), ratio=ratio, seed=seed, rank=0)
    for collate in (default_data_collator, mixing):
        start = time.process_time()
        for first in range(0, len(rows), ROWS):
            collate(rows[first : first + ROWS])
        spent.append((time.process_time() - start) / 50 * 1000)
    return spent[1] - spent[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=MODEL, help="a Hub name or a folder")
    parser.add_argument("--rounds", type=int, default=5, help="the middle one counts")
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each training in a round")
    parser.add_argument("--without-larger", action="store_true", help="leave out plain steps of as many rows")
    parser.add_argument("--name", default="minilm", help="for the record's file name")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    model = AutoModelForSequenceClassification.from_pretrained(
        resolve(ModelSpec(name=asked.model)), num_labels=CLASSES
    )
    plain, mixed = Side(ROWS, 0.0), {ratio: Side(ROWS, ratio) for ratio in RATIOS}
    as_many = () if asked.without_larger else RATIOS
    larger = {ratio: Side(round(ROWS / (1 - ratio)), 0.0) for ratio in as_many}  # as many rows, none of them old
    sides = [plain, *mixed.values(), *larger.values()]
    seconds: dict[Side, list[float]] = {side: [] for side in sides}
    sizes: dict[Side, list[int]] = {side: [] for side in sides}
    for number in range(asked.rounds):
        for side in sides if number % 2 else sides[::-1]:  # a machine that slows down favours nobody
            spent, rows = train(model, side, asked.steps, seed=number)
            seconds[side].append(round(spent, 4))
            sizes[side] += rows

    def times(one: Side, other: Side) -> float:
        return round(median(a / b for a, b in zip(seconds[one], seconds[other], strict=True)), 4)

    found = {}
    print(f"plain step: {median(seconds[plain]):.3f} CPU s")
    of_as_many = "" if asked.without_larger else f" {'plain step of':>13} {'x plain':>8}"
    print(f"{'ratio':>6} {'x plain':>8} {'1/(1-r)':>8} {'rows':>6}{of_as_many} {'draw':>8}")
    for ratio in RATIOS:
        found[str(ratio)] = {
            "times_a_plain_step": times(mixed[ratio], plain),
            "rows_times": round(1 / (1 - ratio), 4),
            "mean_rows": mean(sizes[mixed[ratio]]),
            "drawing_ms": round(collating(ratio, seed=0), 3),
        }
        shown = (
            f"{ratio:6.2f} {times(mixed[ratio], plain):8.3f} {1 / (1 - ratio):8.3f} {mean(sizes[mixed[ratio]]):6.2f}"
        )
        if ratio in larger:
            rows, its = larger[ratio].rows, times(larger[ratio], plain)
            found[str(ratio)]["plain_step_of_that_size"] = {"rows": rows, "times": its}
            shown += f" {rows:13d} {its:8.3f}"
        print(f"{shown} {found[str(ratio)]['drawing_ms']:5.2f} ms")
    record = {
        "question": "CPU seconds of a training step with Replay, against a plain step",
        "date": date.today().isoformat(),
        "model": {"name": asked.model, "weights": identity(ModelSpec(name=asked.model)).weights_digest},
        "batch": {"rows": ROWS, "tokens": TOKENS},
        "rounds": asked.rounds,
        "steps": asked.steps,
        "ratios": found,
        "cpu_seconds_per_step": {f"{side.rows} rows, ratio {side.ratio}": each for side, each in seconds.items()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
    }
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}-{asked.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
