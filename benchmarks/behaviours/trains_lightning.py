"""A training that unfreezes under Lightning, in a process that may be one of two, may be killed, and may go on.

    python -m benchmarks.behaviours.trains_lightning FOLDER lightning|finetuning-scheduler [--strategy NAME]
        [--kill-at STEP] [--resume [--by-attribute]]

`lightning` is its own BackboneFinetuning, `finetuning-scheduler` the callback of that package. Everything that would
make a comparison hard is left out: no shuffling, no dropout, a checkpoint at the end of every epoch. Writes, at its
end, FOLDER/RANK.npy: all weights after every step of this process.
"""

import argparse
import os
import signal
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import BackboneFinetuning, Callback, ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

GLOBAL_BATCH, ROWS, EPOCHS, CLASSES = 16, 64, 4, 3


class Net(lightning.LightningModule):
    """A backbone of two layers and a head."""

    def __init__(self, all_parameters: bool):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh())
        self.head = nn.Linear(16, CLASSES)
        self.all_parameters = all_parameters

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self.head(self.backbone(batch[0])), batch[1])

    def validation_step(self, batch: Any, number: int) -> None:
        self.log("val_loss", self.training_step(batch, number), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        parameters = self.parameters() if self.all_parameters else self.head.parameters()  # as the docs of each say
        return torch.optim.SGD([p for p in parameters if p.requires_grad], lr=0.1, momentum=0.9)


class Watch(Callback):
    """Keeps the weights after every step; at one of them kills its own process, as a power cut would."""

    def __init__(self, kill_at: int | None):
        self.seen: list[np.ndarray] = []
        self.kill_at = kill_at

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
        self.seen.append(torch.cat([p.detach().flatten() for p in pl_module.parameters()]).numpy().copy())
        if trainer.global_step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def callbacks(side: str, kept: Path) -> list[Callback]:
    """The side's callbacks: everything is open after two epochs, a checkpoint after each."""
    every: dict[str, Any] = {"dirpath": kept, "monitor": "val_loss", "every_n_epochs": 1, "save_top_k": -1}
    if side == "lightning":
        return [BackboneFinetuning(unfreeze_backbone_at_epoch=1, backbone_initial_lr=0.1), ModelCheckpoint(**every)]
    from finetuning_scheduler import FinetuningScheduler, FTSCheckpoint

    layers = ("head", "backbone.2", "backbone.0")
    schedule = {
        phase: {"params": [f"{layer}.weight", f"{layer}.bias"], "max_transition_epoch": phase + 1, "lr": 0.1}
        for phase, layer in enumerate(layers)
    }
    unfreezing = FinetuningScheduler(ft_schedule=schedule, epoch_transitions_only=True, restore_best=False)
    return [unfreezing, FTSCheckpoint(**every)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("side", choices=["lightning", "finetuning-scheduler"])
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--kill-at", type=int)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--by-attribute", action="store_true", help="resume by trainer.ckpt_path, not fit(ckpt_path=)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), os.environ.get("RANK", "0")
    random = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, 16, generator=random)
    data = TensorDataset(x, (x[:, :CLASSES]).argmax(dim=1))
    watch = Watch(given.kill_at)
    kept = given.folder / "kept"
    trainer = lightning.Trainer(
        accelerator="cpu", devices=processes, strategy=given.strategy, max_epochs=EPOCHS, logger=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=given.folder,
        callbacks=[*callbacks(given.side, kept), watch],
    )  # fmt: skip
    path = max(kept.glob("*.ckpt"), key=lambda path: path.stat().st_mtime) if given.resume else None
    if given.by_attribute:
        trainer.ckpt_path = path
    loader = DataLoader(data, batch_size=GLOBAL_BATCH // processes)
    net = Net(all_parameters=given.side != "lightning")
    trainer.fit(net, loader, loader, ckpt_path=None if given.by_attribute else path)
    np.save(given.folder / f"{rank}.npy", np.stack(watch.seen))


if __name__ == "__main__":
    main()
