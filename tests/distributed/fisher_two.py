"""Estimates a Fisher in a group of processes and writes that of each: torchrun ... fisher_two.py FOLDER"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tiny_training import leave, make_data, make_model
from torch import distributed

from hf_transfer_kit.fisher import estimate_fisher

ROWS = {"empirical": 7, "sampled": 7, "mas": 1}  # an odd number; fewer than processes

if __name__ == "__main__":
    distributed.init_process_group("gloo")
    model = torch.nn.parallel.DistributedDataParallel(make_model())
    for kind, rows in ROWS.items():
        fisher = estimate_fisher(model, make_data(rows), kind, batch_size=2)
        save_file(fisher, Path(sys.argv[1]) / f"{kind}-{distributed.get_rank()}.safetensors")
    leave()
