"""Trains with EWC and L2-SP in every process of a group: torchrun ... ewc_two.py FOLDER PROCESSES"""

import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from tiny_training import leave, make_data, make_model, train, weights
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from hf_transfer_kit.anchor import Anchor, Pull, whole
from hf_transfer_kit.callbacks.ewc import EWC
from hf_transfer_kit.callbacks.hosting.kept import load_tensors
from hf_transfer_kit.callbacks.l2sp import L2SP


def sharded_pull():
    """Weights, penalty and importance of an anchored model, whole, in as many shards as there are processes."""
    model = make_model()
    start = {name: whole(parameter) + 0.1 for name, parameter in model.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    importance = {name: torch.rand(tensor.shape, generator=generator) for name, tensor in start.items()}
    importance["bert.embeddings.word_embeddings.weight"][5:] = 0.0
    if PartialState().num_processes > 1:
        mesh = init_device_mesh("cpu", (PartialState().num_processes,))
        fully_shard(model.bert.encoder, mesh=mesh)
        fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    found = {}
    for exact in (False, True):
        pull = Pull(
            Anchor(start=start, importance=importance), dict(model.named_parameters()), strength=20.0, exact=exact
        )
        for _ in range(2):
            optimizer.zero_grad()
            sum(parameter.square().sum() for parameter in model.parameters()).backward()
            optimizer.step()
            pull.apply(optimizer)
        found |= {f"{exact}.{name}": whole(parameter) for name, parameter in model.named_parameters()}
        found |= {f"{exact}.importance.{name}": tensor for name, tensor in pull.importance().items()}
        found[f"{exact}.penalty"] = torch.tensor(pull.penalty())
    return found


if __name__ == "__main__":
    folder, rank, processes = Path(sys.argv[1]), int(os.environ.get("RANK", "0")), int(sys.argv[2])
    ewc = EWC(make_data(21, seed=5), 100.0)
    trainer = train(
        folder / f"out-{processes}", [ewc, L2SP(1.0)], data=make_data(64), per_device_train_batch_size=8 // processes,
        max_steps=6, optim="sgd", learning_rate=0.05, lr_scheduler_type="constant", logging_strategy="steps",
        logging_steps=3,
    )  # fmt: skip
    after = ewc.after_task(trainer.model, make_data(9, seed=6), gamma=0.5)
    torch.save(
        {
            "processes": PartialState().num_processes,
            "weights": weights(trainer.model),
            "kept": load_tensors(trainer.args.output_dir / Path("hf_transfer_kit/ewc.safetensors")),
            "penalties": [e[k] for e in trainer.state.log_history for k in e if k.endswith("penalty")],
            "after": after.fisher.importance,
            "sharded": sharded_pull(),
        },
        folder / f"{processes}-{rank}.pt",
    )
    leave()
