"""What both sides of the comparison on permuted images share: tasks, network, order of rows, search, record.

A task is the same images with their pixels in another order, one order for each task; all share one head of ten
classes, and nobody says which task an image is of (domain-incremental; Goodfellow et al. 2013, arXiv:1312.6211).
"""

import argparse
import hashlib
import json
import math
import os
import platform
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import Sampler

TASKS, CLASSES = 5, 10
GAMMA = 0.9  # what online EWC keeps of older tasks
MEMORY = 200  # old rows kept, over all tasks
SEARCH_SEED = 1000  # of the runs that choose a strength; none of those that are compared
METHODS = ("naive", "ewc", "online_ewc", "replay")
CAME_TO_NOTHING = 0.2  # average accuracy of a training that blew up: then the next lower strength is run, too
STRENGTHS = ("ewc", "online_ewc")  # methods that have one


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How one set of images is learned: `train` and `test` rows are drawn by the seed, alike for each task."""

    data: str
    train: int
    test: int
    hidden: int
    epochs: int
    batch: int = 32
    optimizer: str = "sgd"
    learning_rate: float = 0.1


SETTINGS = (
    Setting(data="digits", train=1200, test=597, hidden=128, epochs=10),
    Setting(data="fashion_mnist", train=2000, test=1000, hidden=256, epochs=10),
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Images as float rows (rows, pixels) in [0, 1] and their classes."""

    train: torch.Tensor
    train_labels: torch.Tensor
    test: torch.Tensor
    test_labels: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One sequence of tasks, learned.

    Fields:
        role: "search" where it served to choose a strength, else "final".
        accuracy: [i][j] on the test rows of task j after learning task i.
        cpu_seconds: of learning each task, what the method does before and after it included.
    """

    side: str
    setting: Setting
    method: str
    strength: float | None
    seed: int
    role: str
    accuracy: list[list[float]]
    cpu_seconds: list[float]


Learn = Callable[[str, Setting, list[Task], int, float | None], tuple[list[list[float]], list[float]]]


class Order(Sampler[int]):
    """The rows of a task in an order that depends on the seed, the task and the epoch alone."""

    def __init__(self, rows: int, seed: int, task: int):
        self._rows, self._seed, self._task, self._epoch = rows, seed, task, 0

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self._seed, self._task, self._epoch])
        self._epoch += 1
        return iter(random.permutation(self._rows).tolist())


def remembered(rows: Sequence[int], seed: int) -> list[list[int]]:
    """Of earlier tasks with so many rows those that are in the memory: evenly, fewer of each as tasks are added."""
    each, left = divmod(MEMORY, len(rows))
    orders = [np.random.default_rng([seed, task, 1_000_000]).permutation(count) for task, count in enumerate(rows)]
    return [order[: each + (task < left)].tolist() for task, order in enumerate(orders)]


def make_tasks(setting: Setting, folder: Path | None, seed: int) -> list[Task]:
    """The tasks of a seed, which draws rows and orders of pixels; the first keeps the pixels as they are."""
    random = np.random.default_rng(seed)
    if setting.data == "digits":
        images, labels = load_digits(return_X_y=True)
        drawn = random.permutation(len(images))[: setting.train + setting.test]
        parts = [(images[rows] / 16, labels[rows]) for rows in np.split(drawn, [setting.train])]
    else:
        stored = np.load(folder_of(folder) / f"{setting.data}.npz")
        pools = [(stored[f"x_{part}"], stored[f"y_{part}"]) for part in ("train", "test")]
        rows = [random.permutation(len(labels)) for _, labels in pools]
        parts = [
            (images[row[:size]].reshape(size, -1) / 255, labels[row[:size]])
            for (images, labels), row, size in zip(pools, rows, (setting.train, setting.test), strict=True)
        ]
    (train, train_labels), (test, test_labels) = [
        (torch.tensor(images, dtype=torch.float32), torch.tensor(labels)) for images, labels in parts
    ]
    pixels = train.shape[1]
    orders = [np.arange(pixels), *(random.permutation(pixels) for _ in range(TASKS - 1))]
    return [
        Task(train=train[:, order], train_labels=train_labels, test=test[:, order], test_labels=test_labels)
        for order in orders
    ]


def folder_of(folder: Path | None) -> Path:
    if folder is None:
        raise SystemExit("Fashion-MNIST needs --data FOLDER with fashion_mnist.npz, or leave it out by --only digits.")
    return folder


def make_network(setting: Setting, pixels: int, seed: int) -> nn.Sequential:
    """A perceptron with two hidden layers; the seed gives its start."""
    torch.manual_seed(seed)
    wide = setting.hidden
    return nn.Sequential(
        nn.Linear(pixels, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, CLASSES)
    )


@torch.no_grad()
def accuracies(network: nn.Module, tasks: list[Task]) -> list[float]:
    """The share of right answers on the test rows of each task."""
    return [(network(task.test).argmax(1) == task.test_labels).double().mean().item() for task in tasks]


class Record:
    """The cells of both sides in one JSON file, written anew after each, so that a run that was stopped continues."""

    def __init__(self, file: Path):
        self.file = file
        self.content: dict[str, Any] = {"cells": []}
        if file.exists():
            self.content = json.loads(file.read_text(encoding="utf-8"))
        self.cells = [Cell(**cell | {"setting": Setting(**cell["setting"])}) for cell in self.content["cells"]]

    def find(self, side: str, setting: Setting, method: str, strength: float | None, seed: int) -> Cell | None:
        wanted = (side, setting, method, strength, seed)
        return next((c for c in self.cells if (c.side, c.setting, c.method, c.strength, c.seed) == wanted), None)

    def add(self, cell: Cell) -> None:
        self.cells.append(cell)
        self.save()

    def save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.content["cells"] = [asdict(cell) for cell in self.cells]
        unfinished = self.file.with_name(f".{self.file.name}")
        unfinished.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self.file)


def options(question: str) -> argparse.Namespace:
    """What both sides can be asked."""
    parser = argparse.ArgumentParser(description=question, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    results = Path(__file__).parent / "results"
    parser.add_argument("--data", type=Path, help="a folder with fashion_mnist.npz: x_train, y_train, x_test, y_test")
    parser.add_argument("--only", help="one set of images: digits or fashion_mnist")
    parser.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd", help="adam learns at 0.001")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--record", type=Path, default=results / f"permuted-{date.today()}.json")
    return parser.parse_args()


def versions(libraries: tuple[str, ...]) -> dict[str, str]:
    """Of Python, this project, and `libraries`."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = {"python": platform.python_version(), project["name"]: project["version"]}
    return own | {name: version(name) for name in libraries}


def carry_out(side: str, learn: Learn, first: list[float], libraries: tuple[str, ...], asked: Any) -> None:
    """Runs one side: for each set of images the search of strengths, then all methods with all seeds.

    Args:
        learn: gives accuracies and CPU seconds of a method, a setting, tasks, a seed and a strength.
        first: the strengths to begin the search with.
    """
    torch.set_num_threads(1)
    record = Record(asked.record)
    record.content |= {"date": date.today().isoformat(), "machine": {"cores": os.cpu_count(), "threads": 1}}
    record.content.setdefault("versions", {})[side] = versions(libraries)
    if asked.data is not None:
        stored = (asked.data / "fashion_mnist.npz").read_bytes()
        record.content["data_sha256"] = {"fashion_mnist": hashlib.sha256(stored).hexdigest()}
    settings = [setting for setting in SETTINGS if asked.only in (None, setting.data)]
    if asked.optimizer == "adam":
        settings = [replace(setting, optimizer="adam", learning_rate=0.001) for setting in settings]

    def accuracy(setting: Setting, method: str, strength: float | None, seed: int, role: str) -> float:
        """The mean over all tasks at the end; from the record where it is there."""
        cell = record.find(side, setting, method, strength, seed)
        if cell is None:
            start = time.perf_counter()
            found, seconds = learn(method, setting, make_tasks(setting, asked.data, seed), seed, strength)
            cell = Cell(
                side=side, setting=setting, method=method, strength=strength, seed=seed, role=role, accuracy=found,
                cpu_seconds=[round(second, 3) for second in seconds],
            )  # fmt: skip
            record.add(cell)
            spent = time.perf_counter() - start
            at = "" if strength is None else f" at {strength:g}"
            print(f"{setting.data} {method}{at}, seed {seed}: {np.mean(found[-1]):.4f}, {spent:.1f} s", flush=True)
        return float(np.mean(cell.accuracy[-1]))

    for setting in settings:
        for method in METHODS:
            tried: Sequence[float | None] = [None]
            if method in STRENGTHS:
                tried = search(partial(accuracy, setting, method, seed=SEARCH_SEED, role="search"), first)
            for strength in tried:
                reached = [accuracy(setting, method, strength, seed, "final") for seed in range(asked.seeds)]
                if min(reached) > CAME_TO_NOTHING:
                    break


def search(accuracy: Callable[[float], float], first: list[float]) -> list[float]:
    """The best strength, then all lower ones that were tried, the strongest first.

    A grid in decades, then half a decade to both sides of its best; where that is an edge, the grid grows there.
    """
    found = {strength: accuracy(strength) for strength in first}
    while (best := max(found, key=lambda s: found[s])) in (min(found), max(found)):
        further = best * 10 if best == max(found) else best / 10
        if not 1e-6 < further < 1e9:
            break
        found[further] = accuracy(further)
    for factor in (math.sqrt(10), 1 / math.sqrt(10)):
        found[best * factor] = accuracy(best * factor)
    best = max(found, key=lambda s: found[s])
    return sorted((strength for strength in found if strength <= best), reverse=True)
