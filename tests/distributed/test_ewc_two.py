"""EWC and L2-SP give the same result in one process and in two, which hold the same weights bit for bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_training import PACKAGE, assert_same_bits, torchrun

SCRIPT = str(Path(__file__).with_name("ewc_two.py"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """{(processes, rank): what the script saved}"""
    folder = tmp_path_factory.mktemp("ewc")
    environment = os.environ | {"PYTHONPATH": f"{PACKAGE}:{PACKAGE / 'tests'}", "OMP_NUM_THREADS": "1"}
    alone = subprocess.run(
        [sys.executable, SCRIPT, str(folder), "1"], env=environment, capture_output=True, text=True, timeout=180
    )
    assert alone.returncode == 0, alone.stderr[-3000:]
    together = torchrun(SCRIPT, str(folder), "2")
    assert together.returncode == 0, together.stderr[-3000:]
    return {(n, rank): torch.load(folder / f"{n}-{rank}.pt") for n, rank in [(1, 0), (2, 0), (2, 1)]}


def test_there_were_really_two_processes(results):
    assert [results[key]["processes"] for key in sorted(results)] == [1, 2, 2]


def test_ranks_hold_the_same_bits(results):
    for part in ("weights", "after", "sharded"):
        assert_same_bits(results[2, 0][part], results[2, 1][part])


def test_two_processes_train_as_one(results):
    assert_close(results[2, 0]["weights"], results[1, 0]["weights"], rtol=1e-4, atol=1e-6)
    assert results[2, 0]["penalties"] == pytest.approx(results[1, 0]["penalties"], rel=1e-3)


def test_importance_is_that_of_all_examples(results):
    assert_close(results[2, 0]["kept"], results[1, 0]["kept"], rtol=1e-3, atol=1e-5)
    assert_close(results[2, 0]["after"], results[1, 0]["after"], rtol=1e-3, atol=1e-4)


def test_shards_are_pulled_as_whole_weights_are(results):
    assert_close(results[2, 0]["sharded"], results[1, 0]["sharded"], rtol=1e-5, atol=1e-6)


def assert_close(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")
