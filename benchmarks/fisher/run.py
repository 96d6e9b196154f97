"""What does the exact diagonal Fisher cost, in ordinary forward and backward passes over the same examples?

    python -m benchmarks.fisher.run

All sides run in turns in one process, on one thread, with the same classifier and the same random token rows:

    plain       forward and backward in batches, gradients thrown away: what the pass would cost anyway
    kit         estimate_fisher, its check of the rules included
    one loop    the definition: each example alone, its gradient squared and added up

Writes results/<date>-<name>.json.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.against_trainer import LIBRARIES, Times, cpu_model  # one thread

# isort: split
import torch
from transformers import AutoModelForSequenceClassification, default_data_collator

from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.fisher import estimate_fisher
from hf_transfer_kit.models import identity, resolve
from hf_transfer_kit.plan import ModelSpec

CLASSES, BATCH_SIZE = 4, 16
Fisher = dict[str, torch.Tensor]


def make_examples(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of random tokens, none of them padding."""
    draw = torch.Generator().manual_seed(asked.seed)
    tokens = torch.randint(1000, 30000, (asked.examples, asked.tokens), generator=draw)
    labels = torch.randint(CLASSES, (asked.examples,), generator=draw)
    mask = torch.ones(asked.tokens, dtype=torch.long)
    return [
        {"input_ids": row, "attention_mask": mask, "labels": int(label)}
        for row, label in zip(tokens, labels, strict=True)
    ]


def passes(model: Any, examples: list[dict[str, Any]]) -> None:
    """An ordinary forward and backward pass over all examples."""
    model.eval()
    for start in range(0, len(examples), BATCH_SIZE):
        model.zero_grad()
        model(**default_data_collator(examples[start : start + BATCH_SIZE])).loss.backward()
    model.zero_grad()


def one_loop(model: Any, examples: list[dict[str, Any]]) -> Fisher:
    """The definition."""
    model.eval()
    totals = {name: torch.zeros_like(p, requires_grad=False) for name, p in model.named_parameters()}
    for example in examples:
        model(**default_data_collator([example])).loss.backward()
        for name, p in model.named_parameters():
            totals[name].addcmul_(p.grad, p.grad, value=1 / len(examples))
            p.grad = None
    return totals


def worst_error(found: Fisher, expected: Fisher) -> float:
    """The largest relative error of a tensor; tensors that are zero but for rounding are left out."""
    largest = max(float(tensor.max()) for tensor in expected.values())
    real = [name for name, tensor in expected.items() if float(tensor.max()) > 1e-12 * largest]
    return max(float((found[name] - expected[name]).norm() / expected[name].norm()) for name in real)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=MODEL, help="a Hub name or a folder")
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=64, help="of each example")
    parser.add_argument("--repeats", type=int, default=5, help="the middle ratio counts")
    parser.add_argument("--loops", type=int, default=1, help="repeats of the loop over single examples, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="minilm", help="for the record's file name")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        resolve(ModelSpec(name=asked.model)), num_labels=CLASSES
    )
    examples = make_examples(asked)
    times, error = measure(asked, model, examples)
    times = {name: each for name, each in times.items() if each.cpu_seconds}
    report(asked, times, error)


def measure(asked: argparse.Namespace, model: Any, examples: list[dict[str, Any]]) -> tuple[dict[str, Times], float]:
    """The times of all sides in turns, and how far the kit is from the definition."""
    times = {name: Times() for name in ("plain", "kit", "kit, sampled labels", "one loop")}
    passes(model, examples[: 2 * BATCH_SIZE])  # first calls are slower

    def timed(name: str, work: Callable[[], Any]) -> Any:
        with times[name].measure():
            return work()

    fisher = exact = None
    for repeat in range(asked.repeats):
        timed("plain", lambda: passes(model, examples))
        fisher = timed("kit", lambda: estimate_fisher(model, examples, n_examples=len(examples)))
        timed("kit, sampled labels", lambda: estimate_fisher(model, examples, "sampled", n_examples=len(examples)))
        if repeat < asked.loops:
            exact = timed("one loop", lambda: one_loop(model, examples))
    return times, worst_error(fisher, exact) if fisher and exact else float("nan")


def report(asked: argparse.Namespace, times: dict[str, Times], error: float) -> None:
    """Prints a small table and writes the record."""
    plain = times["plain"].cpu_seconds
    ratios = {
        name: round(median(mine / its for mine, its in zip(each.cpu_seconds, plain, strict=False)), 3)
        for name, each in times.items()
    }
    print(f"{'':22} {'CPU s':>8} {'x plain':>8}")
    for name, each in times.items():
        print(f"{name:22} {each.middle:8.2f} {ratios[name]:8.2f}")
    print(f"worst relative error of a tensor against the one loop: {error:.1e}")
    record = {
        "question": "CPU seconds of the exact diagonal Fisher, against one ordinary forward and backward pass",
        "date": date.today().isoformat(),
        "data": {"examples": asked.examples, "tokens": asked.tokens, "classes": CLASSES, "kind": "random tokens"},
        "model": {
            "name": asked.model if asked.model == MODEL else Path(asked.model).name,
            "weights": identity(ModelSpec(name=asked.model)).weights_digest,
        },
        "seed": asked.seed,
        "batch_size": {"plain": BATCH_SIZE, "kit": BATCH_SIZE, "one loop": 1},
        "times": {name: {k: v for k, v in asdict(each).items() if v} for name, each in times.items()},
        "times_plain": ratios,
        "worst_relative_error": error,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
    }
    file = asked.record or Path(__file__).parent / "results" / f"{record['date']}-{asked.name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
