"""A training with the kit's callbacks in a process that may be one of two, may be killed, and may go on.

    python -m benchmarks.behaviours.trains_ours FOLDER unfreezing|all [--kill-at STEP] [--resume]

Writes, at its end, FOLDER/RANK.npy: all weights after every step of this process.
"""

import argparse
import os
import signal
from pathlib import Path

import numpy as np
import torch
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from benchmarks.behaviours.tiny import arguments, classifier, rows, weights
from hf_transfer_kit.callbacks.ewc import EWC
from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
from hf_transfer_kit.callbacks.replay import Replay

GLOBAL_BATCH, ROWS, EPOCHS, SAVE_STEPS = 16, 64, 3, 3


class Watch(TrainerCallback):
    """Keeps the weights after every step; at one of them kills its own process, as a power cut would."""

    def __init__(self, kill_at: int | None):
        self.seen: list[np.ndarray] = []
        self.kill_at = kill_at

    def on_step_end(self, args, state, control, model, **kwargs):
        self.seen.append(weights(model).numpy())
        if state.global_step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("what", choices=["unfreezing", "all"])
    parser.add_argument("--kill-at", type=int)
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), os.environ.get("RANK", "0")
    settings = {"max_steps": -1, "num_train_epochs": EPOCHS, "per_device_train_batch_size": GLOBAL_BATCH // processes}
    model, callbacks, watch = classifier(), [GradualUnfreezing(0.5)], Watch(given.kill_at)
    if given.what == "all":
        settings |= {
            "save_strategy": "steps", "save_steps": SAVE_STEPS, "optim": "adamw_torch", "learning_rate": 1e-2,
            "lr_scheduler_type": "linear",
        }  # fmt: skip
        old = rows(64, seed=5)
        model, callbacks = classifier(dropout=0.1), [*callbacks, EWC(old, strength=10.0), Replay(old, ratio=0.25)]
    model.accepts_loss_kwargs = False  # else the Trainer multiplies by the number of processes, see accumulation.py
    trainer = Trainer(
        model, arguments(given.folder, **settings), train_dataset=rows(ROWS), callbacks=[*callbacks, watch]
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(given.folder)) if given.resume else None)
    np.save(given.folder / f"{rank}.npy", np.stack(watch.seen))
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        os._exit(0)  # gloo aborts now and then in Python's own clean-up (torch 2.13)


if __name__ == "__main__":
    main()
