"""Trains with GradualUnfreezing in each of several ways and writes what every process saw; run by torchrun.

torchrun --nproc_per_node 2 unfreezing_two.py FOLDER
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from tiny_training import leave, make_args, make_data, make_model
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer, TrainerCallback

from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
from hf_transfer_kit.callbacks.unfreezing import reducer
from hf_transfer_kit.errors import UnsupportedSetupError

SGD = {"optim": "sgd", "learning_rate": 0.1}  # Adam would blow rounding up where a gradient is zero
CHECKPOINTED = {"activation_checkpointing": True}
WAYS = {  # name: (private calls of DDP are there, settings)
    "default": (True, {}),
    "no search": (True, {"ddp_find_unused_parameters": False}),
    "accumulated": (True, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}),
    "reentrant": (True, CHECKPOINTED | {"activation_checkpointing_kwargs": {"use_reentrant": True}}),
    "not reentrant": (True, CHECKPOINTED | {"activation_checkpointing_kwargs": {"use_reentrant": False}}),
    "not rebuilt": (False, {"ddp_find_unused_parameters": True}),
    "not rebuilt, no search": (False, {"ddp_find_unused_parameters": False}),
    "static graph": (True, {"ddp_static_graph": True}),
}


class Look(TrainerCallback):
    """Counts the bytes that are averaged in each step, and takes a digest of the weights after it."""

    def __init__(self):
        self.bytes, self.digests, self.stop_after = [], [], None

    def on_train_begin(self, args, state, control, **kwargs):
        if not self.trainer.model_wrapped._comm_hooks:
            self.trainer.model_wrapped.register_comm_hook(self, average)

    def on_step_begin(self, args, state, control, **kwargs):
        self.bytes.append(0)

    def on_step_end(self, args, state, control, model, **kwargs):
        content = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
        self.digests.append(hashlib.sha256(content).hexdigest())
        control.should_training_stop |= state.global_step == self.stop_after


def average(look, bucket):
    look.bytes[-1] += bucket.buffer().nbytes
    summed = dist.all_reduce(bucket.buffer().div_(dist.get_world_size()), async_op=True).get_future()
    return summed.then(lambda future: future.value()[0])


def trainer_of(folder, **settings):
    settings = {"per_device_train_batch_size": 4} | SGD | settings
    look, unfreezing = Look(), GradualUnfreezing(0.5)
    trainer = Trainer(
        make_model(), make_args(folder, **settings), train_dataset=make_data(), callbacks=[look, unfreezing]
    )
    look.trainer = trainer
    return trainer, look, unfreezing


def saw(trainer, look):
    weights = {name: tensor.tolist() for name, tensor in trainer.model.state_dict().items()}
    return {"bytes": look.bytes, "digests": look.digests, "weights": weights}


def main():
    folder, results = Path(sys.argv[1]), {}
    needed = reducer._NEEDED
    for name, (rebuilds, settings) in WAYS.items():
        reducer._NEEDED = needed if rebuilds else ("gone",)
        trainer, look, _ = trainer_of(folder, **settings)
        try:
            trainer.train()
            assert isinstance(trainer.model_wrapped, DistributedDataParallel)
            results[name] = saw(trainer, look)
        except UnsupportedSetupError as error:
            results[name] = {"error": str(error)}
    reducer._NEEDED = needed
    trainer, look, unfreezing = trainer_of(folder)
    look.stop_after = 3
    trainer.train()
    trainer.remove_callback(unfreezing)
    look.stop_after = None
    trainer.train()
    results["then without"] = saw(trainer, look)
    (folder / f"{dist.get_rank()}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
    leave()
