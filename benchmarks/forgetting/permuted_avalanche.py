"""Permuted digits and Fashion-MNIST: avalanche's side. Run it where avalanche-lib is installed, into the same record.

python -m benchmarks.forgetting.permuted_avalanche --data FOLDER
"""

import time
from typing import Any

import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.utils.classification_dataset import _make_taskaware_tensor_classification_dataset
from avalanche.benchmarks.utils.data_loader import ReplayDataLoader
from avalanche.benchmarks.utils.utils import concat_datasets
from avalanche.training import EWC, Naive
from avalanche.training.plugins import ReplayPlugin, SupervisedPlugin
from avalanche.training.storage_policy import ExemplarsBuffer
from torch import nn
from torch.utils.data import BatchSampler, DataLoader

from benchmarks.forgetting.permuted_tasks import (
    GAMMA,
    MEMORY,
    Order,
    Setting,
    Task,
    accuracies,
    carry_out,
    make_network,
    options,
    remembered,
)

SIDE = "avalanche"
LIBRARIES = ("avalanche-lib", "torch", "numpy", "scikit-learn")
FIRST = [1.0, 10.0, 100.0, 1000.0]


class InOrder(SupervisedPlugin):
    """Takes the new rows of each task in a given order."""

    def __init__(self, seed: int):
        super().__init__()
        self._seed = seed

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        rows, size, mixed = strategy.adapted_dataset, strategy.train_mb_size, strategy.dataloader
        order = Order(len(rows), self._seed, strategy.clock.train_exp_counter)
        if isinstance(mixed, ReplayDataLoader):  # the old rows stay as its own sampler draws them
            make = mixed._create_samplers
            mixed._create_samplers = lambda *given: [BatchSampler(order, size, drop_last=False), make(*given)[1]]
        else:
            strategy.dataloader = DataLoader(rows, batch_size=size, sampler=order, collate_fn=rows.collate_fn)


class SameMemory(ExemplarsBuffer):
    """Keeps the old rows that the other side keeps: drawn at random, as many of each task, as avalanche's own does."""

    def __init__(self, seed: int):
        super().__init__(MEMORY)
        self._seed, self._tasks = seed, list[Any]()

    def post_adapt(self, agent_state: Any, exp: Any) -> None:
        self._tasks.append(exp.dataset)
        kept = remembered([len(task) for task in self._tasks], self._seed)
        self.buffer = concat_datasets([task.subset(rows) for task, rows in zip(self._tasks, kept, strict=True)])

    def resize(self, strategy: Any, new_size: int) -> None:
        raise NotImplementedError("its size is that of the comparison")


def strategy_for(method: str, network: nn.Module, setting: Setting, seed: int, strength: float | None) -> Any:
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    settings: dict[str, Any] = {
        "model": network,
        "optimizer": kinds[setting.optimizer](network.parameters(), lr=setting.learning_rate),
        "criterion": nn.CrossEntropyLoss(),
        "train_mb_size": setting.batch,
        "train_epochs": setting.epochs,
        "evaluator": None,
    }
    if method == "replay":  # its plugin comes first, so that its loader is there to be ordered
        replay = ReplayPlugin(mem_size=MEMORY, storage_policy=SameMemory(seed))
        return Naive(plugins=[replay, InOrder(seed)], **settings)
    settings["plugins"] = [InOrder(seed)]
    if method == "ewc":
        return EWC(ewc_lambda=strength, **settings)
    if method == "online_ewc":
        return EWC(ewc_lambda=strength, mode="online", decay_factor=GAMMA, **settings)
    return Naive(**settings)


def learn(
    method: str, setting: Setting, tasks: list[Task], seed: int, strength: float | None
) -> tuple[list[list[float]], list[float]]:
    """Accuracies after each task, and the CPU seconds each took."""
    network = make_network(setting, tasks[0].train.shape[1], seed)
    torch.manual_seed(seed)
    strategy = strategy_for(method, network, setting, seed, strength)
    stream = benchmark_from_datasets(
        train=[
            _make_taskaware_tensor_classification_dataset(
                task.train, task.train_labels, targets=task.train_labels.tolist(), task_labels=0
            )
            for task in tasks
        ]
    ).train_stream
    matrix, seconds = [], []
    for experience in stream:
        start = time.process_time()
        strategy.train(experience, reset_optimizer_state=True)  # as a new Trainer for each task does
        seconds.append(time.process_time() - start)
        matrix.append(accuracies(network, tasks))
    return matrix, seconds


if __name__ == "__main__":
    carry_out(SIDE, learn, FIRST, LIBRARIES, options(str(__doc__)))
