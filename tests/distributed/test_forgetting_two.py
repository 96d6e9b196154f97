import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import PACKAGE, torchrun

SCRIPT = str(Path(__file__).with_name("forgetting_two.py"))


def alone(folder, limit):
    command = [sys.executable, SCRIPT, str(made(folder)), "1", str(limit)]
    paths = {"PYTHONPATH": f"{PACKAGE}:{PACKAGE / 'tests'}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]


def made(folder):
    for name in ("loss", "accuracy"):
        (folder / name).mkdir(parents=True)
    return folder


def reports(folder, metric):
    return [json.loads(file.read_text()) for file in sorted((folder / metric).glob("report-*.json"))]


def test_two_processes_see_stop_and_return_as_one_does(tmp_path):
    limit = 1.7  # nats; passed between two evaluations, see below
    alone(tmp_path / "one", limit)
    done = torchrun(SCRIPT, str(made(tmp_path / "two")), "2", str(limit))
    assert done.returncode == 0, done.stderr[-3000:]

    for metric in ("loss", "accuracy"):
        (one,), (first, second) = reports(tmp_path / "one", metric), reports(tmp_path / "two", metric)
        assert first == second
        assert [entry["step"] for entry in first["log"]] == [entry["step"] for entry in one["log"]]
        for expected, found in zip(one["log"], first["log"], strict=True):
            for key in expected:
                if metric == "loss" or "loss" not in key:  # the Trainer's loss of an incomplete batch counts in full
                    assert found[key] == pytest.approx(expected[key], abs=1e-4), key
        states = [load_file(tmp_path / "two" / metric / f"weights-{rank}.safetensors") for rank in (0, 1)]
        for name, tensor in states[0].items():
            assert torch.equal(tensor, states[1][name]), name
        single = load_file(tmp_path / "one" / metric / "weights-0.safetensors")
        for name in [name for name in single if not name.endswith("key.bias")]:  # no gradient but rounding
            torch.testing.assert_close(states[0][name], single[name], atol=1e-4, rtol=1e-4)
        if metric == "loss":
            assert one["stopped"] and first["stopped"] and 0 < first["steps"] == one["steps"] < 12
            kept = load_file(tmp_path / "two" / metric / "run" / "hf_transfer_kit" / "rollback.safetensors")
            assert all(torch.equal(tensor, kept[name]) for name, tensor in states[0].items())
