"""EWC over two experiences under avalanche, in a process that may be killed and may go on.

    python -m benchmarks.behaviours.trains_avalanche FOLDER [--kill-at STEP] [--resume]

As its example on checkpoints does it: seeds from its RNGManager, the checkpoint loaded before the stream and saved
after every experience. Writes, at its end, FOLDER/0.npy: all weights after every step of this process.
"""

import argparse
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks.scenarios.dataset_scenario import benchmark_from_datasets
from avalanche.benchmarks.utils import as_taskaware_classification_dataset
from avalanche.checkpointing import maybe_load_checkpoint, save_checkpoint
from avalanche.training.determinism.rng_manager import RNGManager
from avalanche.training.plugins import EvaluationPlugin, SupervisedPlugin
from avalanche.training.supervised import EWC
from torch import nn
from torch.utils.data import TensorDataset

ROWS, BATCH = 64, 16
SEEN: list[np.ndarray] = []


class Watch(SupervisedPlugin):
    """Keeps the weights after every step; at one of them kills its own process, as a power cut would."""

    def __init__(self, kill_at: int | None):
        super().__init__()
        self.kill_at = kill_at

    def after_update(self, strategy: Any, **kwargs: Any) -> None:
        SEEN.append(torch.cat([p.detach().flatten() for p in strategy.model.parameters()]).numpy().copy())
        if strategy.clock.train_iterations == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def experience(seed: int) -> Any:
    """Rows of one task."""
    x = torch.randn(ROWS, 16, generator=torch.Generator().manual_seed(seed))
    rows = TensorDataset(x, x[:, :3].argmax(dim=1))
    rows.targets = rows.tensors[1].tolist()
    return as_taskaware_classification_dataset(rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-at", type=int)
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    RNGManager.set_random_seeds(1234)
    stream = benchmark_from_datasets(train=[experience(0), experience(1)]).train_stream
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))
    strategy = EWC(
        model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        criterion=nn.CrossEntropyLoss(), ewc_lambda=1.0, train_mb_size=BATCH, train_epochs=2,
        evaluator=EvaluationPlugin(loggers=[]), plugins=[Watch(given.kill_at)],
    )  # fmt: skip
    kept = str(given.folder / "checkpoint.pkl")
    strategy, first = maybe_load_checkpoint(strategy, kept)
    if given.resume:
        next(plugin for plugin in strategy.plugins if isinstance(plugin, Watch)).kill_at = None
    for each in stream[first:]:
        strategy.train(each)
        save_checkpoint(strategy, kept)
    np.save(given.folder / "0.npy", np.stack(SEEN))


if __name__ == "__main__":
    from benchmarks.behaviours import trains_avalanche

    trains_avalanche.main()  # not of __main__, whose classes dill would write into the checkpoint with all they use
