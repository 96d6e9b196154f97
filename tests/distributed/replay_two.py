"""Trains with Replay in every process of a group: torchrun ... replay_two.py FOLDER"""

import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from replay_witness import NEW, OLD, Recording, Witness, marked
from tiny_training import leave, make_args, make_data, make_model, weights
from torch.utils.data import IterableDataset
from transformers import Trainer

from hf_transfer_kit.callbacks.replay import Replay
from hf_transfer_kit.errors import UnsupportedSetupError

RATIO, STRENGTH, STEP = 0.4, 3.0, 2


class Stream(IterableDataset):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def train(folder, callbacks, data, collator, **settings):
    args = make_args(folder, per_device_train_batch_size=4, remove_unused_columns=False, max_grad_norm=0.0, **settings)
    trainer = Trainer(
        model=make_model(), args=args, train_dataset=data, data_collator=collator, callbacks=list(callbacks)
    )
    trainer.train()
    return trainer


if __name__ == "__main__":
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    new, old = marked(make_data(32), NEW), marked(make_data(20, seed=9), OLD)
    for unused in (True, False):
        for accumulation in (1, 2):
            collator, witness = Recording(), Witness(STEP)
            replay = Replay(old, RATIO, distill=STRENGTH)
            trainer = train(
                folder / "out", [replay, witness], new, collator, max_steps=4, ddp_find_unused_parameters=unused,
                gradient_accumulation_steps=accumulation,
            )  # fmt: skip
            seen = {
                "processes": PartialState().num_processes, "calls": collator.calls, "before": witness.weights,
                "gradient": witness.gradient, "weights": weights(trainer.model),
            }  # fmt: skip
            torch.save(seen, folder / f"{unused}-{accumulation}-{rank}.pt")
    collator, said = Recording(), ""
    try:
        train(folder / "out", [Replay(old, RATIO)], Stream(new), collator, max_steps=2)
    except UnsupportedSetupError as error:
        said = str(error)
    apart = {"accelerator_config": {"dispatch_batches": False}}
    trainer = train(folder / "out", [Replay(old, RATIO)], Stream(new), collator, max_steps=2, **apart)
    torch.save(
        {"said": said, "calls": collator.calls, "weights": weights(trainer.model)}, folder / f"stream-{rank}.pt"
    )
    leave()
