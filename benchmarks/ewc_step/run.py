"""What does EWC add to a training step, and how does that compare with the penalty of avalanche-lib?

    pip install avalanche-lib==0.6.0        # for the comparison; without it this side is left out
    python -m benchmarks.ewc_step.run

One process, one thread, CPU seconds. In turn: a plain step of all-MiniLM-L6-v2 with a classifier (forward, backward,
fused AdamW), the pull of EWC, that of L2-SP, and what avalanche's EWCPlugin adds to the loss, forward and backward,
for one old task. All get the same importance: the Fisher information of the demo's sentences. Writes
results/<date>.json.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}

import argparse
import csv
import json
import platform
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from hf_transfer_kit.anchor import Anchor, Pull, normalised, whole
from hf_transfer_kit.demo import MODEL, demo_data
from hf_transfer_kit.fisher import estimate_fisher
from hf_transfer_kit.models import resolve
from hf_transfer_kit.plan import ModelSpec

BATCH_SIZE, TOKENS, EXAMPLES, STRENGTH, LEARNING_RATE = 16, 64, 256, 100.0, 5e-5
LIBRARIES = ("hf-transfer-kit", "torch", "transformers", "avalanche-lib")


def sentences() -> tuple[list[str], list[int]]:
    """The demo's rows and the number of each one's label."""
    with demo_data().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:EXAMPLES]
    names = sorted({row["intent"] for row in rows})
    return [row["text"] for row in rows], [names.index(row["intent"]) for row in rows]


def make_importance(model: Any, tokenizer: Any) -> dict[str, torch.Tensor]:
    """The Fisher information of the demo's sentences, of mean 1."""
    texts, labels = sentences()
    columns = tokenizer(texts, padding=True, return_tensors="pt")
    rows = [{k: v[i] for k, v in columns.items()} | {"labels": torch.tensor(label)} for i, label in enumerate(labels)]
    return normalised(estimate_fisher(model, rows, n_examples=len(rows), batch_size=BATCH_SIZE))


def plain_step(model: Any) -> Callable[[], None]:
    """Forward, backward and AdamW on one batch of random tokens."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1000, 20000, (BATCH_SIZE, TOKENS), generator=generator)
    labels = torch.arange(BATCH_SIZE) % model.config.num_labels
    mask = torch.ones_like(tokens)

    def step() -> None:
        model(input_ids=tokens, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def pull_of(model: Any, anchor: Anchor, exact: bool = False) -> Callable[[], None]:
    """The pull alone, after one step of the optimizer that it belongs to."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    if exact:
        for parameter in model.parameters():
            optimizer.state[parameter] = {"exp_avg_sq": torch.rand_like(parameter), "step": torch.tensor(9.0)}
    pull = Pull(anchor, dict(model.named_parameters()), strength=STRENGTH, exact=exact)
    return lambda: pull.apply(optimizer)


def avalanche_penalty(model: Any, importance: dict[str, torch.Tensor]) -> Callable[[], None] | None:
    """What avalanche's plugin adds to a step; None where avalanche is not installed."""
    try:
        from avalanche.training.plugins.ewc import EWCPlugin, ParamData
    except ImportError:
        return None
    plugin = EWCPlugin(ewc_lambda=STRENGTH)
    for name, parameter in model.named_parameters():
        start = parameter.detach().clone()
        plugin.saved_params[0][name] = ParamData(name, device="cpu", init_tensor=start)
        plugin.importances[0][name] = ParamData(name, device="cpu", init_tensor=importance[name])
    strategy = SimpleNamespace(model=model, device="cpu", clock=SimpleNamespace(train_exp_counter=1))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)  # those of the loss are there already: the penalty's are added

    def penalty() -> None:
        strategy.loss = torch.zeros(())
        plugin.before_backward(strategy)
        strategy.loss.backward()

    return penalty


def measure(sides: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """CPU milliseconds of every repetition of every side, taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repetition in range(repeats + 1):
        for name, side in sides.items():
            before = time.process_time()
            side()
            if repetition:  # the first one warms up
                times[name].append(round((time.process_time() - before) * 1000, 2))
    return times


def cpu_model() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=15, help="of every side; the middle one counts")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    source = resolve(ModelSpec(name=MODEL))
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=len(set(sentences()[1])))
    importance = make_importance(model, AutoTokenizer.from_pretrained(source))
    start = {name: whole(parameter) for name, parameter in model.named_parameters()}
    dense = {name: tensor + 1e-12 for name, tensor in importance.items()}
    sides = {
        "plain step": plain_step(model.train()),
        "EWC": pull_of(model, Anchor(start=start, importance=importance)),
        "EWC, no importance is zero": pull_of(model, Anchor(start=start, importance=dense)),
        "EWC, exact": pull_of(model, Anchor(start=start, importance=importance), exact=True),
        "L2-SP": pull_of(model, Anchor(start=start)),
    }
    other = avalanche_penalty(model, importance)
    times = measure(sides | ({"avalanche": other} if other else {}), asked.repeats)
    middle = {name: median(each) for name, each in times.items()}
    print(f"{'':28} {'CPU ms':>8} {'of a step':>10} {'avalanche is':>13}")
    for name, value in middle.items():
        ratio = f"{middle['avalanche'] / value:11.1f} x" if other else ""
        print(f"{name:28} {value:8.1f} {value / middle['plain step']:10.2%} {ratio}")
    record = {
        "question": "CPU milliseconds that EWC adds to a training step",
        "date": date.today().isoformat(),
        "model": {"name": MODEL, "parameters": sum(tensor.numel() for tensor in start.values())},
        "batch": [BATCH_SIZE, TOKENS],
        "share_of_importance_that_is_zero": round(
            sum((tensor == 0).sum().item() for tensor in importance.values())
            / sum(tensor.numel() for tensor in importance.values()), 3,
        ),
        "cpu_milliseconds": times,
        "middle": middle,
        "versions": {"python": platform.python_version()} | {name: version_of(name) for name in LIBRARIES},
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
    }  # fmt: skip
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
