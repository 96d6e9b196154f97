"""Two tasks that a tiny model learns by words; the second makes it forget the first unless it is protected."""

import csv
import random
from pathlib import Path

from hf_transfer_kit.data.labelled import LabelledData
from hf_transfer_kit.data.old import load_with_old
from hf_transfer_kit.plan import DataSpec, Training

OLD = {"bad": ("bad", "awful", "poor"), "good": ("good", "great", "fine")}
NEW = {"sound": ("music", "acting"), "tale": ("story", "plot")}
OTHERS = ("the", "was", "and", "a", "very", "of", "with")
TRAINING = Training(epochs=8, min_steps=0, batch_size=8, patience=8, warmup_share=0.0)


def write_task(path: Path, words: dict[str, tuple[str, ...]], rows: int, seed: int = 0) -> DataSpec:
    """Writes a CSV file of different texts, each with one word of its label."""
    draw, texts = random.Random(seed), {}
    while len(texts) < rows:
        label = sorted(words)[len(texts) % len(words)]
        others = [draw.choice(OTHERS) for _ in range(draw.randint(2, 6))]
        others.insert(draw.randint(0, len(others)), draw.choice(words[label]))
        texts[" ".join(others)] = label
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *texts.items()])
    return DataSpec(path=str(path), max_length=16)


def two_tasks(folder: Path, rows: int = 60) -> tuple[DataSpec, DataSpec]:
    """(new, old): the labels sound and tale, and before them bad and good."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_task(folder / "new.csv", NEW, rows), write_task(folder / "old.csv", OLD, rows)


def two_tasks_loaded(folder: Path, rows: int = 60) -> tuple[LabelledData, LabelledData]:
    """As `two_tasks`, loaded, their classes numbered together."""
    return load_with_old(*two_tasks(folder, rows))
