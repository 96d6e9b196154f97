"""FSDP2 through the Trainer and Accelerate, two real processes on the CPU."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_training import PACKAGE, make_data, make_model, torchrun, train, weights

from hf_transfer_kit import EWC, L2SP, GradualUnfreezing, estimate_fisher

SCRIPT = str(PACKAGE / "tests" / "distributed" / "fsdp2.py")
ALONE = {"learning_rate": 1e-3, "max_grad_norm": 0.0}


def sharded(folder: Path, methods: str, *checkpoint: str) -> dict[str, torch.Tensor]:
    done = torchrun(SCRIPT, str(folder), methods, *checkpoint)
    assert done.returncode == 0, done.stderr[-3000:]
    with safe_open(folder / "weights.safetensors", "pt") as file:
        assert int(file.metadata()["sharded"]) > 30  # else nothing was sharded, and the test says nothing
    return load_file(folder / "weights.safetensors")


def test_anchors_and_unfreezing_on_shards_give_the_weights_of_one_process(tmp_path):
    def callbacks():
        fisher = estimate_fisher(make_model(), make_data(24, seed=5))
        return [L2SP(strength=10.0), GradualUnfreezing(epochs_per_block=0.5), EWC(fisher=fisher, strength=100.0)]

    alone = weights(train(tmp_path / "alone", callbacks(), **ALONE).model)
    plain = weights(train(tmp_path / "plain", **ALONE).model)
    together = sharded(tmp_path, "l2sp,gradual,ewc")

    for name, tensor in together.items():
        if "key.bias" not in name:  # its gradient is zero but for rounding, of which Adam makes whole steps
            torch.testing.assert_close(tensor, alone[name], atol=3e-5, rtol=0)  # 2.1e-5 on torch 2.7
    assert any((plain[name] - tensor).abs().max() > 1e-3 for name, tensor in together.items())


def test_a_resumed_run_on_shards_ends_where_an_unbroken_one_does(tmp_path):
    unbroken = sharded(tmp_path, "l2sp,gradual,ewc,replay,monitor")
    resumed = sharded(tmp_path, "l2sp,gradual,ewc,replay,monitor", str(tmp_path / "training" / "checkpoint-8"))

    for name, tensor in resumed.items():
        torch.testing.assert_close(tensor, unbroken[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("method", "message"),
    [("ewc-late", "EWC\\(fisher="), ("distill", "distill=0")],
)
def test_what_cannot_work_on_shards_says_so_before_the_first_step(method, message, tmp_path):
    done = torchrun(SCRIPT, str(tmp_path), method)

    assert done.returncode != 0
    assert "UnsupportedSetupError" in done.stderr
    import re

    assert re.search(message, done.stderr)
    assert not (tmp_path / "training" / "checkpoint-4").exists()
