"""How near is the estimate of memory, made from the configuration alone, to the peak of a run?

    python -m benchmarks.memory.run --mobilenet FOLDER

Every approach trains a few steps through the kit, in a process of its own, after a run on a tiny model that loads the
libraries: the peak that the run's record holds is then that of the work. Freed memory goes back at once, unless
--keep-freed leaves glibc to its default, which keeps much of it. The estimate is made in the process that starts the
others. Writes results/<date>-<name>.json.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}

from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.machine import library_versions, this_machine
from hf_transfer_kit.memory.estimate import MIB, estimate_memory
from hf_transfer_kit.plan import APPROACHES, DataSpec, ModelSpec, Training, TransferPlan
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.values import to_mapping

ROWS, LEARNED = 100, 32  # of the data; training and validation rows that a run uses, each
TOKENS, SIDE = 128, 224
BATCH = 16
MEASURED = ("features", "top_layers", "full", "lora")


def texts(folder: Path, tokens: int) -> Path:
    """A CSV file of texts of `tokens` tokens each, with the two that a tokenizer adds; of words of all its vocabulary.

    Weights are read from the disk when they are used: few words would leave most embeddings there.
    """
    vocabulary = get_task("text-classification").load_processor(ModelSpec(name=MODEL)).get_vocab()
    words = sorted(word for word in vocabulary if word.isascii() and word.isalpha())
    draw, path = random.Random(0), folder / "texts.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = [(" ".join(draw.choices(words, k=tokens - 2)), "ab"[i % 2]) for i in range(ROWS)]
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def images(folder: Path) -> Path:
    """A folder of small random images in two classes."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    for i in range(ROWS):
        path = folder / "images" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    return folder / "images"


def tiny_copy(model: ModelSpec, folder: Path, task: str) -> ModelSpec:
    """The same architecture, next to nothing in size, with the same processor."""
    from transformers import AutoModel

    from hf_transfer_kit.models import load_config

    config = load_config(model)
    small = {"hidden_size": 12, "num_hidden_layers": 2, "intermediate_size": 12, "depth_multiplier": 0.25}
    for name, value in small.items():
        if hasattr(config, name):
            setattr(config, name, value)
    AutoModel.from_config(config).save_pretrained(folder)
    get_task(task).load_processor(model).save_pretrained(folder)
    return ModelSpec(name=str(folder))


def measure(model: str, approach: str) -> None:
    """Prints the peak of one run in MiB; in a process of its own."""
    import torch

    from hf_transfer_kit.run import run

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["HF_TRANSFER_KIT_CACHE"] = str(folder / "cache")
        is_text = model == MODEL
        path = texts(folder, TOKENS) if is_text else images(folder)
        data = DataSpec(path=str(path), train_size=LEARNED, validation_share=0.45, test_share=0.1, max_length=TOKENS)
        training = Training(epochs=2, min_steps=0, batch_size=BATCH)
        spec = ModelSpec(name=model)
        task = "text-classification" if is_text else "image-classification"
        for start in (tiny_copy(spec, folder / "tiny", task), spec):
            plan = TransferPlan(data=data, model=start, approach=APPROACHES[approach](), training=training)
            record = run(plan, folder / f"run-{start is spec}")
        print(json.dumps({"mib": record.cost.peak_memory_mib, "machine": this_machine()}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mobilenet", help="folder of MobileNetV2")
    parser.add_argument("--name", default="minilm-mobilenet")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    parser.add_argument("--keep-freed", action="store_true", help="measure with glibc's default settings")
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "APPROACH"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        return measure(*asked.one)
    results: list[dict[str, Any]] = []
    machine: dict[str, str] = {}
    for model in (MODEL, *([asked.mobilenet] if asked.mobilenet else [])):
        for approach in MEASURED:
            command = [sys.executable, "-m", "benchmarks.memory.run", "--one", model, approach]
            returned = {} if asked.keep_freed else {"MALLOC_MMAP_THRESHOLD_": "65536"}
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | returned)
            if done.returncode:
                raise SystemExit(done.stderr[-3000:])
            answer = json.loads(done.stdout.splitlines()[-1])
            machine = answer["machine"]
            task = get_task("text-classification" if model == MODEL else "image-classification")
            batch = task.inference_batch if approach == "features" else BATCH
            length = TOKENS if model == MODEL else SIDE
            estimate = estimate_memory(
                ModelSpec(name=model), approach, batch, length, rows=2 * LEARNED, evaluation_batch=LEARNED
            )  # fmt: skip
            share = estimate.total_mib / answer["mib"] - 1
            name = MODEL if model == MODEL else Path(model).name
            parts = {part: round(value / MIB, 1) for part, value in to_mapping(estimate).items() if type(value) is int}
            results.append({
                "model": name, "approach": approach, "batch": batch, "length": length, "phase": estimate.phase,
                "measured_mib": round(answer["mib"], 1), "estimated_mib": round(estimate.total_mib, 1),
                "difference": round(share, 3), "estimated_parts_mib": parts,
            })  # fmt: skip
            shown = f"{name:40} {approach:12} measured {answer['mib']:7.0f} MiB   {share:+.0%}   {estimate.as_sum}"
            print(shown, flush=True)
    record = {
        "question": "peak memory of a run of the kit, and its estimate from the configuration alone",
        "date": date.today().isoformat(), "glibc_keeps_freed_memory": asked.keep_freed,
        "results": results, "machine": machine, "versions": library_versions(),
    }  # fmt: skip
    out = asked.record or Path(__file__).parent / "results" / f"{date.today()}-{asked.name}.json"
    out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
