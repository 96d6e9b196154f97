"""What the benchmarks against transformers.Trainer share: the rows, the plain Trainer, the clock, the record.

Both sides run on one thread; so import this before torch.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}

import numpy as np
import torch
from transformers import (
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

from hf_transfer_kit.approaches import FITS, Fit, Job, Outcome
from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.data.split import stratified_order
from hf_transfer_kit.demo import MODEL, demo_data
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.models import identity, resolve
from hf_transfer_kit.plan import DataSpec, ModelSpec, TransferPlan
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.run import run

torch.set_num_threads(1)
logging.disable_progress_bar()

LIBRARIES = ("hf-transfer-kit", "torch", "transformers", "accelerate", "datasets", "scikit-learn", "numpy")
BATCH_SIZE = 32
LONGEST = 128  # tokens


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The rows of a benchmark, by part.

    Fields:
        folder: holds one CSV file a part, for the kit.
        texts, labels: the same rows in memory, for the Trainer.
        classes: how many there are.
    """

    folder: Path
    texts: dict[str, list[str]]
    labels: dict[str, list[int]]
    classes: int


@dataclass(kw_only=True)
class Times:
    """CPU and wall seconds of every repetition, and the test accuracy they ended with."""

    cpu_seconds: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """CPU seconds of the middle repetition."""
        return median(self.cpu_seconds)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Adds one repetition: what happens in the `with` block."""
        seconds, cpu_seconds = time.perf_counter(), time.process_time()
        yield
        self.cpu_seconds.append(round(time.process_time() - cpu_seconds, 3))
        self.seconds.append(round(time.perf_counter() - seconds, 3))


class TimedFit(Fit):
    """An approach whose `fit` is timed, and nothing that `run` does around it."""

    def __init__(self, approach: Fit, times: Times):
        self._approach, self._times = approach, times

    def fit(self, job: Job) -> Outcome:
        with self._times.measure():
            return self._approach.fit(job)

    def load(self, record: RunRecord, folder: Path) -> Any:
        return self._approach.load(record, folder)


def options(question: str) -> argparse.Namespace:
    """What every benchmark against the Trainer can be asked."""
    parser = argparse.ArgumentParser(description=question, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", default=str(demo_data()), help="labelled texts, as `transfer-kit compare` takes")
    parser.add_argument("--label-column", help="where it is not found by itself")
    parser.add_argument("--classes", type=int, help="draw this many of the classes")
    parser.add_argument("--model", default=MODEL, help="a Hub name or a folder")
    parser.add_argument("--train", type=int, default=1000, help="training rows at most, drawn stratified")
    parser.add_argument("--eval", type=int, default=500, help="rows at most of each other part")
    parser.add_argument("--repeats", type=int, default=3, help="the middle one counts")
    parser.add_argument("--seed", type=int, default=0, help="of the rows, the head's start and the order")
    parser.add_argument("--name", default="demo", help="of the data, for the record's file name")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    return parser.parse_args()


def draw(asked: argparse.Namespace, parts: Sequence[str], folder: Path) -> Drawn:
    """The rows of `parts`, stratified, which are also written to `folder`."""
    data = load_data(DataSpec(path=asked.data, label_column=asked.label_column))
    order = np.random.default_rng(asked.seed).permutation(len(data.label_names))
    kept = sorted(order[: asked.classes].tolist())
    texts, labels = {}, {}
    for part in parts:
        rows = data.part(part)
        rows = rows.select(np.flatnonzero(np.isin(rows["label"][:], kept)))
        chosen = stratified_order(rows["label"][:], asked.seed)[: asked.train if part == "train" else asked.eval]
        rows = rows.select(np.sort(chosen))
        texts[part], labels[part] = rows["input"][:], [kept.index(label) for label in rows["label"]]
        with (folder / f"{part}.csv").open("w", encoding="utf-8", newline="") as file:
            names = [data.label_names[label] for label in rows["label"]]
            csv.writer(file).writerows([("text", "label"), *zip(texts[part], names, strict=True)])
    return Drawn(folder=folder, texts=texts, labels=labels, classes=len(kept))


def train_plainly(
    make_model: Callable[[str, int], Any], drawn: Drawn, asked: argparse.Namespace, times: Times, *, epochs: int,
    learning_rate: float,
) -> None:  # fmt: skip
    """What a user of the Trainer does, measured: load, tokenise, train, evaluate each epoch, answer test.

    It evaluates on validation where there is one, else on test, whose last evaluation is then the answer.
    """
    with tempfile.TemporaryDirectory() as folder, times.measure():
        logging.set_verbosity_error()  # every Trainer sets its own
        set_seed(asked.seed)
        source = resolve(ModelSpec(name=asked.model))
        tokenizer, model = AutoTokenizer.from_pretrained(source), make_model(source, drawn.classes)
        sets = {part: encode(tokenizer, drawn, part) for part in drawn.texts}
        args = TrainingArguments(
            output_dir=folder, num_train_epochs=epochs, learning_rate=learning_rate, seed=asked.seed, use_cpu=True,
            per_device_train_batch_size=BATCH_SIZE, per_device_eval_batch_size=64, eval_strategy="epoch",
            save_strategy="no", report_to="none", disable_tqdm=True, log_level="error", dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(
            model, args, train_dataset=sets["train"], eval_dataset=sets.get("validation", sets["test"]),
            data_collator=DataCollatorWithPadding(tokenizer), compute_metrics=scores,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        if "validation" in sets:
            score = trainer.predict(sets["test"]).metrics["test_accuracy"]
        else:
            score = [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry][-1]
    times.test_accuracy.append(score)


def encode(tokenizer: Any, drawn: Drawn, part: str) -> list[dict[str, Any]]:
    """Token numbers and label of every row."""
    columns = tokenizer(drawn.texts[part], truncation=True, max_length=LONGEST)
    return [
        {name: column[i] for name, column in columns.items()} | {"labels": label}
        for i, label in enumerate(drawn.labels[part])
    ]


def scores(prediction: Any) -> dict[str, float]:
    """What the Trainer reports of an evaluation."""
    return {"accuracy": accuracy(prediction.label_ids, prediction.predictions.argmax(axis=1))}


def run_kit(plan: TransferPlan, fit: Times, whole: Times) -> RunRecord:
    """The record of one run of the kit in a new folder; `fit` and `whole` get the times of the approach and of all."""
    approach = FITS[type(plan.approach)]
    FITS[type(plan.approach)] = TimedFit(approach, fit)
    try:
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), whole.measure():
            record = run(plan, Path(folder) / "run")
    finally:
        FITS[type(plan.approach)] = approach
    for times in (fit, whole):
        times.test_accuracy.append(accuracy(record.test.labels, record.test.predictions))
    return record


def report(
    folder: Path, asked: argparse.Namespace, drawn: Drawn, question: str, times: dict[str, Times],
    numbers: dict[str, Any],
) -> None:  # fmt: skip
    """Prints a small table and writes the record: results/<date>-<name>.json in `folder`, or what was asked for."""
    print(f"{'':40} {'CPU s':>8} {'wall s':>8} {'test accuracy':>14}")
    for name, each in times.items():
        print(f"{name:40} {each.middle:8.2f} {median(each.seconds):8.2f} {median(each.test_accuracy):14.3f}")
    for name, value in numbers.items():
        print(f"{name.replace('_', ' ')}: {value}")
    record = {
        "question": question,
        "date": date.today().isoformat(),
        "data": described(asked, drawn),
        "model": {"name": asked.model if asked.model == MODEL else Path(asked.model).name,
                  "weights": identity(ModelSpec(name=asked.model)).weights_digest},
        "seed": asked.seed,
        "times": {name: asdict(each) for name, each in times.items()},
        **numbers,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
    }  # fmt: skip
    path = asked.record or folder / "results" / f"{record['date']}-{asked.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def described(asked: argparse.Namespace, drawn: Drawn) -> dict[str, Any]:
    """Which rows of which data, and a hash of their files."""
    files = {part: (drawn.folder / f"{part}.csv").read_bytes() for part in drawn.texts}
    tokens = AutoTokenizer.from_pretrained(resolve(ModelSpec(name=asked.model)))(drawn.texts["train"])["input_ids"]
    return {
        "name": Path(asked.data).name,
        "classes": drawn.classes,
        "rows": {part: len(texts) for part, texts in drawn.texts.items()},
        "mean_tokens": round(sum(map(len, tokens)) / len(tokens), 1),
        "sha256": {part: hashlib.sha256(content).hexdigest() for part, content in files.items()},
    }


def cpu_model() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
