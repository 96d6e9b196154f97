"""A small language model learns short commands: what is left of the language it knew, with and without protection?

python -m benchmarks.forgetting.language_model --data FOLDER --out runs/language_model
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.data import ConcatDataset
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    default_data_collator,
    set_seed,
)
from transformers.utils import logging

from benchmarks.forgetting.language_texts import (
    PARTS,
    SEARCH_SEED,
    TOKENS,
    VOCABULARY,
    Rows,
    Texts,
    blocks,
    make_texts,
    make_tokenizer,
    wikipedia,
)
from benchmarks.forgetting.permuted_tasks import versions
from hf_transfer_kit import EWC, L2SP, Replay, interpolate

EPOCHS, BATCH, LEARNING_RATE = 2, 8, 1e-3
SEARCHED = {
    "ewc": (1.0, 10.0, 100.0, 1000.0),
    "l2sp": (10.0, 100.0, 1000.0),
    "lora": (1e-3, 4e-3, 1.6e-2),  # learning rates
    "interpolation": (0.2, 0.4, 0.6, 0.8),  # shares of the fine-tuned weights
}
METHODS = ("plain", "interpolation", "ewc", "online_ewc", "l2sp", "replay", "lora")
SAME_AS = {"online_ewc": "ewc"}  # takes the strength that was found for the other
LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "numpy")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One fine-tuning on both parts of SNIPS, one after the other.

    Fields:
        value: strength, learning rate or share; None where the method has none.
        perplexity: by part of the held-out text: before, after the first and after the second part of SNIPS;
            None where not measured.
        cpu_seconds: of the fine-tuning, without measuring perplexity.
    """

    method: str
    value: float | None
    seed: int
    perplexity: dict[str, list[float | None]]
    cpu_seconds: float


@torch.no_grad()
def perplexity(model: Any, rows: Rows) -> float:
    """exp of the mean loss of a token."""
    model.eval()
    losses = []
    for at in range(0, len(rows), 50):
        tokens = torch.tensor([row["input_ids"] for row in rows[at : at + 50]])
        losses += [model(input_ids=tokens, labels=tokens).loss.item()] * len(tokens)
    return math.exp(mean(losses))


def train(model: Any, rows: Rows, folder: Path, seed: int, callbacks: list[Any], **settings: Any) -> None:
    chosen: dict[str, Any] = {
        "num_train_epochs": EPOCHS,
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
    } | settings
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=BATCH, seed=seed, use_cpu=True, save_strategy="no",
        logging_strategy="no", report_to="none", disable_tqdm=True, log_level="error", dataloader_pin_memory=False,
        weight_decay=0.0, **chosen,
    )  # fmt: skip
    trainer = Trainer(model, args, train_dataset=rows, data_collator=default_data_collator, callbacks=callbacks)
    trainer.remove_callback(PrinterCallback)
    trainer.train()


def language_model(folder: Path, rows: Rows) -> GPT2LMHeadModel:
    """Learned once, then read from `folder`."""
    if not (folder / "model.safetensors").exists():
        set_seed(0)
        size: dict[str, Any] = {
            "n_embd": 128,
            "n_layer": 4,
            "n_head": 4,
            "n_positions": TOKENS,
            "vocab_size": VOCABULARY,
        }
        dropout: dict[str, Any] = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        model = GPT2LMHeadModel(GPT2Config(**size, **dropout, bos_token_id=0, eos_token_id=0))
        train(
            model, rows, folder, 0, [], num_train_epochs=2, learning_rate=2e-3, lr_scheduler_type="cosine",
            warmup_steps=50, adam_beta2=0.98,
        )  # fmt: skip
        model.save_pretrained(folder)
    return GPT2LMHeadModel.from_pretrained(folder)


def protections(method: str, value: float, old: Any, folder: Path, earlier: list[Any], model: Any, part: int) -> Any:
    """The callbacks for part 0 or 1 of SNIPS; `earlier` are those of part 0, `old` the blocks learned so far."""
    if method == "replay":
        return [Replay(old, ratio=0.05)]
    if method == "l2sp":
        return [L2SP(value)]
    if method not in ("ewc", "online_ewc"):
        return []
    if part == 0:
        return [EWC(old, value)]
    if method == "online_ewc":
        return [earlier[0].after_task(model, old.datasets[-1], collate_fn=default_data_collator)]
    return [EWC(strength=value, fisher=folder / "hf_transfer_kit" / "ewc.safetensors")]  # still that of Wikipedia


def learn(method: str, value: float | None, seed: int, texts: Texts, out: Path) -> Cell:
    """Fine-tunes on one part of SNIPS after the other."""
    start, folder = out / "start", out / f"{method}-{seed}"
    model: Any = GPT2LMHeadModel.from_pretrained(start)
    scores: list[dict[str, float] | None] = [measured(model, texts)]
    if method == "interpolation":  # of what `plain` has left
        tuned = GPT2LMHeadModel.from_pretrained(out / f"plain-{seed}")
        before = time.process_time()
        model = interpolate(tuned, str(start), float(value or 0))
        seconds = time.process_time() - before
        scores += [None, measured(model, texts)]
        return cell_of(method, value, seed, scores, seconds)
    set_seed(seed)
    rate: dict[str, Any] = {}
    if method == "lora":
        layers = ["c_attn", "c_proj", "c_fc"]
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=layers, fan_in_fan_out=True))
        rate = {"learning_rate": value}
    old: Any = texts.old
    callbacks: list[Any] = []
    seconds = 0.0
    for part, rows in enumerate(texts.new):
        before = time.process_time()
        callbacks = protections(method, float(value or 0), old, folder, callbacks, model, part)
        train(model, rows, folder, seed, callbacks, **rate)
        seconds += time.process_time() - before
        old = ConcatDataset([old, rows])  # type: ignore[list-item]
        scores.append(measured(model, texts))
    if method == "plain":
        model.save_pretrained(folder)
    return cell_of(method, value, seed, scores, seconds)


def measured(model: Any, texts: Texts) -> dict[str, float]:
    return {part: perplexity(model, texts.held_out[part]) for part in PARTS}


def cell_of(
    method: str, value: float | None, seed: int, scores: list[dict[str, float] | None], seconds: float
) -> Cell:
    found = {part: [None if score is None else round(score[part], 3) for score in scores] for part in PARTS}
    return Cell(method=method, value=value, seed=seed, perplexity=found, cpu_seconds=round(seconds, 2))


def mean_loss(cell: Cell) -> float:
    """What the search makes small: the mean of the losses on Wikipedia and on SNIPS at the end."""
    end = {part: math.log(cell.perplexity[part][-1] or math.nan) for part in PARTS}
    return (end["wikitext"] + (end["snips_a"] + end["snips_b"]) / 2) / 2


class Record:
    """The cells in one JSON file, written anew after each, so that a run that was stopped continues."""

    def __init__(self, file: Path, about: dict[str, Any]):
        content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self.cells = [Cell(**cell) for cell in content.get("cells", [])]
        self._file, self._about = file, about

    def cell(self, method: str, value: float | None, seed: int, data: Path, out: Path, tokenizer: Any) -> Cell:
        """From the file, or else learned now."""
        found = [c for c in self.cells if (c.method, c.value, c.seed) == (method, value, seed)]
        if found:
            return found[0]
        cell = learn(method, value, seed, make_texts(data, tokenizer, seed), out)
        print(method, value, seed, {part: p[-1] for part, p in cell.perplexity.items()}, cell.cpu_seconds, flush=True)
        self.cells.append(cell)
        content = json.dumps(self._about | {"cells": [asdict(cell) for cell in self.cells]}, indent=1)
        self._file.parent.mkdir(exist_ok=True)
        self._file.write_text(content + "\n", encoding="utf-8")
        return cell


def print_table(cells: list[Cell]) -> None:
    print(
        "| method | value | wikitext | first part, just learned | first part | second part | CPU s |\n"
        + "|---" * 7
        + "|"
    )
    first = next(cell for cell in cells if cell.method == "plain")
    wikitext, first_part, second_part = (f"{first.perplexity[part][0]:.1f}" for part in PARTS)
    print(f"| before | | {wikitext} | | {first_part} | {second_part} | |")
    for method in METHODS:
        own = [cell for cell in cells if cell.method == method and cell.seed != SEARCH_SEED]
        if len(own) < 2:
            continue

        def shown(part: str, at: int, own: list[Cell] = own) -> str:
            values = [value for cell in own if (value := cell.perplexity[part][at]) is not None]
            return f"{mean(values):.1f} ± {stdev(values):.1f}" if values else ""

        value = "" if own[0].value is None else f"{own[0].value:g}"
        columns = [shown("wikitext", -1), shown("snips_a", 1), shown("snips_a", -1), shown("snips_b", -1)]
        print(f"| {method} | {value} | {' | '.join(columns)} | {mean(c.cpu_seconds for c in own):.0f} |")


def carry_out(cell: Callable[..., Cell], seeds: int) -> None:
    """The search of each value, then all methods, seed by seed."""
    cell("plain", None, SEARCH_SEED)  # of which the search interpolates
    values = {
        method: min((cell(method, value, SEARCH_SEED) for value in values), key=mean_loss).value
        for method, values in SEARCHED.items()
    }
    for seed in range(seeds):
        for method in METHODS:
            cell(method, values.get(SAME_AS.get(method, method)), seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with wikitext2/*.txt and snips/*.jsonl")
    parser.add_argument("--out", type=Path, default=Path("runs/language_model"), help="tokenizer, models")
    parser.add_argument("--seeds", type=int, default=3)
    name = f"language_model-{date.today()}.json"
    parser.add_argument("--record", type=Path, default=Path(__file__).parent / "results" / name)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer = make_tokenizer(asked.out, wikipedia(asked.data, "test"))
    before = time.process_time()
    language_model(asked.out / "start", blocks(tokenizer, wikipedia(asked.data, "test").splitlines()))
    print(f"language model: {time.process_time() - before:.0f} CPU s", flush=True)
    files = ("wikitext2/test.txt", "wikitext2/validation.txt", "snips/train.jsonl", "snips/test.jsonl")
    about = {
        "question": "perplexity on text a small language model knew, after it learned other text",
        "date": date.today().isoformat(),
        "versions": versions(LIBRARIES),
        "machine": {"cores": os.cpu_count(), "threads": 1},
        "data_sha256": {file: sha256((asked.data / file).read_bytes()).hexdigest() for file in files},
        "searched": SEARCHED,
    }
    record = Record(asked.record, about)
    carry_out(partial(record.cell, data=asked.data, out=asked.out, tokenizer=tokenizer), asked.seeds)
    print_table(record.cells)


if __name__ == "__main__":
    main()
