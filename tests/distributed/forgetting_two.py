"""A training watched by ForgettingMonitor; each process writes what it saw. Started by torchrun, or alone."""

import json
import sys
from pathlib import Path

from safetensors.torch import save_file
from tiny_training import leave, make_args, make_data, make_model
from transformers import Trainer

from hf_transfer_kit.callbacks.forgetting import ForgettingMonitor


def watch(folder: Path, monitor: ForgettingMonitor, processes: int) -> None:
    """Trains for 12 steps on rows of one class, so that others are forgotten."""
    data = [row | {"labels": 2} for row in make_data(32, seed=8)]
    args = make_args(
        folder / "run", per_device_train_batch_size=8 // processes, per_device_eval_batch_size=4,
        eval_strategy="steps", eval_steps=2, lr_scheduler_type="constant",
    )  # fmt: skip
    assert args.world_size == processes
    trainer = Trainer(model=make_model(), args=args, train_dataset=data, eval_dataset=data, callbacks=[monitor])
    trainer.train()
    log = [entry for entry in trainer.state.log_history if "forgetting" in entry]
    report = {"log": log, "stopped": monitor.stopped, **monitor.to_dict(), "steps": trainer.state.global_step}
    (folder / f"report-{args.process_index}.json").write_text(json.dumps(report))
    state = {name: tensor.contiguous() for name, tensor in trainer.model.state_dict().items()}
    save_file(state, folder / f"weights-{args.process_index}.safetensors")


def main(folder: Path, processes: int, limit: float) -> None:
    whole = {"a": make_data(24, seed=5), "b": make_data(16, seed=7)}  # fill every batch of 2 x 4 rows
    watch(folder / "loss", ForgettingMonitor(whole, stop_below={"a": limit}, roll_back=True, metric="loss"), processes)
    odd = {"a": make_data(21, seed=5), "b": make_data(13, seed=7)}  # rows that only fill up must not count
    watch(folder / "accuracy", ForgettingMonitor(odd), processes)
    if processes > 1:
        leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
