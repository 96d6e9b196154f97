"""Trains with callbacks under FSDP2 on the CPU: torchrun ... fsdp2.py FOLDER METHODS [CHECKPOINT]

Accelerate 1.15 shards on accelerators only, so this tells it that the two processes have one each; everything else,
gloo and the CPU included, is as it comes.
"""

import sys
from pathlib import Path

from accelerate.state import PartialState
from accelerate.utils import DistributedType
from safetensors.torch import save_file
from tiny_training import leave, make_args, make_data, make_model
from torch.distributed.tensor import DTensor
from transformers import Trainer

from hf_transfer_kit import EWC, L2SP, ForgettingMonitor, GradualUnfreezing, Replay, estimate_fisher


def callbacks(methods: str) -> list:
    old = make_data(24, seed=5)
    made = {
        "ewc": lambda: EWC(fisher=estimate_fisher(make_model(), old), strength=100.0),
        "ewc-late": lambda: EWC(old),
        "l2sp": lambda: L2SP(strength=10.0),
        "gradual": lambda: GradualUnfreezing(epochs_per_block=0.5),
        "replay": lambda: Replay(old, ratio=0.3),
        "distill": lambda: Replay(old, ratio=0.3, distill=0.5),
        "monitor": lambda: ForgettingMonitor({"old": make_data(16, seed=6)}),
    }
    return [made[name]() for name in methods.split(",") if name]


def main(folder: Path, methods: str, checkpoint: str | None = None) -> None:
    settings = {
        "fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": ["BertLayer"]},
        "per_device_train_batch_size": 4, "save_strategy": "steps", "save_steps": 4,
        "learning_rate": 1e-3, "max_grad_norm": 0.0,
    }  # fmt: skip
    args = make_args(folder / "training", **settings)
    PartialState()  # made by the arguments; from here on it counts as a machine with accelerators
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    trainer = Trainer(
        model=make_model(), args=args, train_dataset=make_data(), callbacks=callbacks(methods),
        eval_dataset=make_data(8, seed=9),
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=checkpoint)
    tensors = {
        name: (p.full_tensor() if isinstance(p, DTensor) else p).detach().clone()
        for name, p in trainer.model.named_parameters()
    }
    sharded = sum(isinstance(p, DTensor) for p in trainer.model.parameters())
    if trainer.is_world_process_zero():
        save_file(tensors, folder / "weights.safetensors", metadata={"sharded": str(sharded)})
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
