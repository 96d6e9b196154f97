"""A strength that does not depend on the batch size: how strong EWC is must not hang on how its rows were batched.

The same network and rows of scikit-learn's digits for everybody. Importance is estimated in batches of 1, 4, 16 and
64; `measured` has the penalty, at one fixed displacement of the weights, relative to the one with the exact Fisher
diagonal, which is computed here row by row. Tolerance: 1 % between the largest and the smallest.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from benchmarks.behaviours.outcome import Outcome, command

ROW = "a strength that does not depend on the batch size"
BATCH_SIZES, ROWS, TOLERANCE = (1, 4, 16, 64), 256, 0.01

Importance = dict[str, torch.Tensor]


def network() -> nn.Sequential:
    """64 - 32 - 10, after some steps on the rows, where importance means something."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer, (x, y) = torch.optim.SGD(net.parameters(), lr=0.5), digits()
    for _ in range(20):
        optimizer.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return net


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, 64) pixels between 0 and 1, and (rows,) classes."""
    images, classes = load_digits(return_X_y=True)
    return torch.tensor(images[:ROWS] / 16, dtype=torch.float32), torch.tensor(classes[:ROWS])


def exact(net: nn.Sequential) -> Importance:
    """The mean over rows of the squared gradient of each row's own loss."""
    total = {name: torch.zeros_like(weight) for name, weight in net.named_parameters()}
    for x, y in zip(*digits(), strict=True):
        net.zero_grad()
        functional.cross_entropy(net(x[None]), y[None]).backward()
        for name, weight in net.named_parameters():
            total[name] += weight.grad.square() / ROWS
    return total


def penalty(importance: Importance) -> float:
    """sum_i F_i d_i^2 at a displacement d that is the same for all."""
    random = torch.Generator().manual_seed(1)
    return sum(float((importance[name] * torch.randn(shape, generator=random).square()).sum())
               for name, shape in sorted((name, weight.shape) for name, weight in importance.items()))  # fmt: skip


def outcome(estimate: Callable[[nn.Sequential, int], Importance], **also: Any) -> Outcome:
    """Penalties by batch size, relative to the exact one."""
    true = penalty(exact(network()))
    found = {size: penalty(estimate(network(), size)) / true for size in BATCH_SIZES}
    spread = max(found.values()) / min(found.values())
    return Outcome(
        holds=spread <= 1 + TOLERANCE,
        measured={"of_the_exact": {str(size): round(each, 4) for size, each in found.items()},
                  "largest_over_smallest": round(spread, 4)} | also,
        says="estimated in batches of " + " / ".join(map(str, found)) + " the penalty is "
        + " / ".join(f"{each:.3f}" for each in found.values()) + " of the exact one",
    )  # fmt: skip


class ForTrainer(nn.Module):
    """The network as the Trainer wants it: takes labels, returns a loss."""

    def __init__(self, net: nn.Sequential):
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.net(x)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def ours() -> Outcome:
    """`estimate_fisher`, and what the callback keeps in a Trainer with that batch size."""
    from transformers import Trainer, TrainingArguments

    from hf_transfer_kit.callbacks.ewc import EWC
    from hf_transfer_kit.callbacks.hosting.kept import load_tensors
    from hf_transfer_kit.fisher.estimate import estimate_fisher

    data = [{"x": x, "labels": y} for x, y in zip(*digits(), strict=True)]

    def estimate(net: nn.Sequential, size: int) -> Importance:
        fisher = estimate_fisher(ForTrainer(net), data, n_examples=ROWS, batch_size=size)
        return {name.removeprefix("net."): tensor for name, tensor in fisher.items()}

    def kept(size: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainingArguments(
                output_dir=folder, per_device_train_batch_size=size, max_steps=1, report_to="none", use_cpu=True,
                disable_tqdm=True, save_strategy="no", log_level="error", logging_strategy="no",
            )  # fmt: skip
            model = ForTrainer(network())
            Trainer(model, settings, train_dataset=data, callbacks=[EWC(data, n_examples=ROWS)]).train()
            tensors = load_tensors(Path(folder) / "hf_transfer_kit" / "ewc.safetensors")
            fisher = {n.removeprefix("fisher.net."): t for n, t in tensors.items() if n.startswith("fisher.")}
        return penalty(fisher)

    by_size = [kept(size) for size in BATCH_SIZES]
    in_trainer = max(by_size) / min(by_size)
    found = outcome(estimate, in_the_trainer_largest_over_smallest=round(in_trainer, 4))
    return Outcome(
        holds=found.holds and in_trainer <= 1 + TOLERANCE,
        measured=found.measured,
        says=f"{found.says}; in a Trainer with such batches it differs by {in_trainer - 1:.1e}",
    )


def avalanche() -> Outcome:
    """The method that EWCPlugin calls after each experience, with the strategy's `train_mb_size`."""
    from avalanche.benchmarks.utils import as_taskaware_classification_dataset
    from avalanche.training.plugins import EWCPlugin
    from torch.utils.data import TensorDataset

    rows = TensorDataset(*digits())
    rows.targets = rows.tensors[1].tolist()
    dataset = as_taskaware_classification_dataset(rows)

    def estimate(net: nn.Sequential, size: int) -> Importance:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        plugin = EWCPlugin(ewc_lambda=1.0)
        found = plugin.compute_importances(net, nn.CrossEntropyLoss(), optimizer, dataset, torch.device("cpu"), size)
        return {name: value.data for name, value in found.items()}

    return outcome(estimate)


def clearn() -> Outcome:
    """`consolidate`, which `fit` calls after each task, with the task's DataLoader."""
    from clearn.strategies.ewc import EWC
    from torch.utils.data import DataLoader, TensorDataset

    def estimate(net: nn.Sequential, size: int) -> Importance:
        strategy = EWC(net, n_fisher_samples=ROWS)
        strategy.consolidate(DataLoader(TensorDataset(*digits()), batch_size=size))
        return strategy._fisher

    return outcome(estimate)


SIDES = {"ours": ours, "avalanche-lib": avalanche, "clearn-ai": clearn}

if __name__ == "__main__":
    command(ROW, SIDES)
