"""What does each protection keep while a model learns the ten domains of CLINC150, one after another?

    python -m benchmarks.forgetting.domains --data CLINC150

CLINC150 is a folder with train.csv, validation.csv and test.csv (columns text, intent, domain). Strengths are chosen
on validation rows, with a seed of their own and fewer domains; then every method learns all domains with every seed.
Each finished run is written at once, and the same command continues.
"""

import argparse
import copy
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed
from transformers.utils import logging

from benchmarks.forgetting.class_means import class_means
from benchmarks.forgetting.clinc_domains import Clinc150, Domain, load_clinc150
from benchmarks.forgetting.domain_methods import METHODS, ClassMeans, Joint, Method
from benchmarks.forgetting.domain_record import Record, Settings, show
from benchmarks.forgetting.domain_scores import CLASS, TASK, Matrix, Run, score
from benchmarks.forgetting.upper_blocks import Row, pad, split_classifier
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.optim import discriminative_lr

torch.set_num_threads(1)
logging.disable_progress_bar()

CHOOSING = 100  # the seed with which strengths are chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The domains in the order of one seed, as rows of the upper blocks.

    Fields:
        domains: in order.
        train, held_out: their rows.
        upper: the model before the first training.
        start: its accuracy on each domain, by scenario.
        model: its name.
        seed: of all that was drawn.
    """

    domains: tuple[Domain, ...]
    train: list[list[Row]]
    held_out: list[list[Row]]
    upper: Any
    start: dict[str, list[float]]
    model: str
    seed: int


def prepare(data: Clinc150, settings: Settings, model: str, seed: int) -> Prepared:
    """The rows of `seed`, through the lower blocks."""
    rows = {"train": settings.train_rows, "held_out": settings.held_out_rows}
    domains = data.sequence(**rows, part=settings.part, seed=seed)[: settings.domains]
    split = split_classifier(model, data.intents, blocks=settings.blocks, seed=seed)
    held_out = [split.rows(domain.held_out) for domain in domains]
    return Prepared(
        domains=domains, train=[split.rows(domain.train) for domain in domains], held_out=held_out, upper=split.upper,
        start=score(answers(split.upper, held_out), domains), model=model, seed=seed,
    )  # fmt: skip


def learn(sequence: Prepared, name: str, setting: float | None, settings: Settings) -> Run:
    """Takes one method through the sequence."""
    make, _ = METHODS[name]
    method = make() if setting is None else make(setting)
    if isinstance(method, ClassMeans):
        return class_means(sequence.domains, sequence.start, sequence.model, sequence.seed)
    set_seed(sequence.seed)
    model = method.start(copy.deepcopy(sequence.upper))
    count, seconds = len(sequence.domains), list[float]()
    matrix: dict[str, Matrix] = {scenario: [[None] * count for _ in range(count)] for scenario in (CLASS, TASK)}
    if isinstance(method, Joint):
        stages = {count - 1: [row for rows in sequence.train for row in rows]}
    else:
        stages = dict(enumerate(sequence.train))
    for place, new in stages.items():
        old = [row for rows in sequence.train[:place] for row in rows] if len(stages) > 1 else []
        begun = time.process_time()
        model = train(model, method, new, old, settings, seed=1000 * sequence.seed + place)
        seconds.append(round((time.process_time() - begun) / (count / len(stages)), 3))
        last = place == count - 1
        measured = range(count) if last else range(place, place + 2)  # the next one, too, for forward transfer
        logits = answers(model, [sequence.held_out[other] for other in measured])
        for scenario, values in score(logits, [sequence.domains[other] for other in measured]).items():
            for other, value in zip(measured, values, strict=True):
                matrix[scenario][place][other] = value
    names = [domain.name for domain in sequence.domains]
    return Run(
        method=name, setting=setting, seed=sequence.seed, domains=names, matrix=matrix,
        start=sequence.start, cpu_seconds=seconds,
    )  # fmt: skip


def train(model: Any, method: Method, new: list[Row], old: list[Row], settings: Settings, seed: int) -> Any:
    """The model after one domain."""
    head = [name for name, each in model.named_parameters() if "classifier" in name and each.requires_grad]
    optimizer = discriminative_lr(
        model, method.learning_rate, head_lr=settings.head_learning_rate, new_parameters=head
    )
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder, num_train_epochs=settings.epochs, per_device_train_batch_size=settings.batch_size,
            seed=seed, use_cpu=True, save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
            log_level="error", remove_unused_columns=False, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(
            model, args, train_dataset=new, data_collator=pad, callbacks=method.callbacks(model, old),
            optimizers=(optimizer, None), compute_loss_func=among_labels_of(new) if method.own_labels else None,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return method.finish(model, new)


def among_labels_of(rows: list[Row]) -> Callable[..., torch.Tensor]:
    """The cross-entropy of a softmax over the labels of `rows`, as the Trainer calls it."""
    own = torch.tensor(sorted({row["labels"] for row in rows}))

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        return cross_entropy(outputs.logits[:, own], torch.searchsorted(own, labels))

    return loss


@torch.no_grad()
def answers(model: Any, held_out: Sequence[list[Row]]) -> np.ndarray:
    """Logits (rows, intents) on the held-out rows of some domains, one after another."""
    model.eval()
    rows = [row for each in held_out for row in each]
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]["inputs_embeds"]))
    logits = np.empty((len(rows), model.config.num_labels), dtype=np.float32)
    for first in range(0, len(order), 64):
        chosen = order[first : first + 64]
        batch = pad([rows[place] for place in chosen])
        del batch["labels"]
        logits[chosen] = model(**batch).logits.numpy()
    return logits


def pending(record: Record, seeds: Sequence[int], choosing: bool) -> list[tuple[int, str, float | None]]:
    """(seed, method, setting) of the runs that are not in the record."""
    wanted: list[tuple[int, str, float | None]]
    if choosing:
        wanted = [(CHOOSING, name, value) for name, (_, values) in METHODS.items() for value in values]
    else:
        wanted = [(seed, name, record.chosen(name)) for seed in seeds for name in METHODS]
    done = {(run.seed, run.method, run.setting) for run in (record.choosing if choosing else record.runs)}
    return [key for key in wanted if key not in done]


def work_off(record: Record, data: Clinc150, model: str, seeds: Sequence[int], choosing: bool) -> None:
    """Makes the runs that are missing, and writes the record after each."""
    settings = replace(record.settings, part="validation", domains=3) if choosing else record.settings
    missing, spent, sequence = pending(record, seeds, choosing), list[float](), None
    for number, (seed, name, setting) in enumerate(missing):
        begun = time.perf_counter()
        if sequence is None or sequence.seed != seed:
            sequence = prepare(data, settings, model, seed)
        run = learn(sequence, name, setting, settings)
        record.add(run, choosing)
        spent.append(time.perf_counter() - begun)
        left = sum(spent) / len(spent) * (len(missing) - number - 1) / 60
        average = [100 * run.average(scenario) for scenario in (CLASS, TASK)]
        print(
            f"{'choosing ' * choosing}seed {seed} {name}{'' if setting is None else f' {setting:g}'}: "
            f"{average[0]:.1f} / {average[1]:.1f} %, {sum(run.cpu_seconds):.0f} CPU s, {left:.0f} minutes left",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CLINC150")
    parser.add_argument("--model", default=MODEL, help="a BERT: a Hub name or a folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=20, help="rows to learn each intent from")
    parser.add_argument("--test", type=int, default=10, help="rows to score each intent on")
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    data = load_clinc150(asked.data)
    settings = Settings(train_rows=asked.train, held_out_rows=asked.test, epochs=asked.epochs)
    record = Record.begin_or_continue(Path(__file__).parent / "results", settings, asked.model, data.sha256)
    for choosing in (True, False):
        work_off(record, data, asked.model, range(asked.seeds), choosing)
    show(record)


if __name__ == "__main__":
    main()
