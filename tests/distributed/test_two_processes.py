"""One process and two give the same result. Real processes, started by torchrun, on the CPU (gloo).

`accelerate launch --cpu --num_processes 2` would start one process only (accelerate 1.15), hence torchrun.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from two_tasks import two_tasks

from hf_transfer_kit.plan import (
    DataSpec,
    EwcSettings,
    Features,
    Full,
    Lora,
    ModelSpec,
    Protection,
    Scratch,
    TopLayers,
    Training,
    TransferPlan,
)
from hf_transfer_kit.run import run

PACKAGE = Path(__file__).parents[2]
TRAINING = Training(epochs=3, min_steps=0, batch_size=8, checkpoint_seconds=0.0)  # 21 rows: an incomplete last batch


def torchrun(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = (
        os.environ
        | {"PYTHONPATH": f"{PACKAGE}:{PACKAGE / 'tests'}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        | variables
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def plans(text_csv, image_folder, tiny_bert, tiny_image_model, gpt2, tmp_path_factory) -> dict[str, TransferPlan]:
    def plan(data, model, approach, training=TRAINING):
        spec = DataSpec(path=str(data), train_size=21)
        return TransferPlan(data=spec, model=ModelSpec(name=str(model)), approach=approach, training=training)

    new, old = two_tasks(tmp_path_factory.mktemp("tasks"))
    protected = TransferPlan(
        data=replace(new, train_size=21), old_data=replace(old, train_size=21), model=ModelSpec(name=str(tiny_bert)),
        approach=Full(), protection=Protection(ewc=EwcSettings(strength=1e5)), training=TRAINING,
    )  # fmt: skip
    two_parts = Training(epochs=3, min_steps=0, batch_size=8, accumulation=2)
    return {
        "bert": plan(text_csv, tiny_bert, Full()),
        "bert in micro-batches": plan(text_csv, tiny_bert, Scratch(), two_parts),
        "gpt2": plan(text_csv, gpt2, Full()),
        "vit": plan(image_folder, tiny_image_model, Full()),
        "adapters": plan(text_csv, tiny_bert, Lora(rank=2)),
        "cached top": plan(text_csv, tiny_bert, TopLayers(blocks=1)),
        "features": plan(text_csv, tiny_bert, Features()),
        "features after old data": replace(protected, approach=Features(), protection=Protection()),
        "full+ewc": protected,
    }


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory, tiny_bert) -> Path:
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2Model

    folder = tmp_path_factory.mktemp("models") / "tiny-gpt2"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        GPT2Model(
            GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=64, initializer_range=0.2)
        ).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def two_processes(plans, tmp_path_factory) -> Path:
    """Folder with a run of each plan, carried out by two processes."""
    folder = tmp_path_factory.mktemp("two")
    for name, plan in plans.items():
        plan.save(folder / f"{name}.yaml")
    script = str(PACKAGE / "tests" / "distributed" / "carry_out.py")
    cache = {"HF_TRANSFER_KIT_CACHE": str(folder / "cache")}  # the fixture with one for every test comes later
    result = torchrun(script, str(folder), *(str(folder / f"{name}.yaml") for name in plans), **cache)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.mark.parametrize(
    "name",
    ["bert", "bert in micro-batches", "gpt2", "vit", "adapters", "cached top", "features", "features after old data",
     "full+ewc"],
)  # fmt: skip
def test_two_processes_give_the_answers_of_one(name, plans, two_processes, tmp_path):
    alone = run(plans[name], tmp_path / "alone")
    together = json.loads((two_processes / name / "record.json").read_text())
    assert together["machine"]["processes"] == "2" and alone.machine["processes"] == "1"
    first, second = (load_file(folder / "scores.safetensors") for folder in (tmp_path / "alone", two_processes / name))
    for part in ("validation_logits", "test_logits"):
        np.testing.assert_allclose(second[part], first[part], atol=1e-4)
    np.testing.assert_allclose(together["test"]["log_likelihood"], alone.test.log_likelihood, atol=1e-4)
    if alone.old is not None:
        assert together["old"]["before"] == list(alone.old.before)
        assert together["old"]["after"] == list(alone.old.after)
        assert together["details"]["old_task"]["cached"] == (name == "full+ewc")  # two processes learned it for both
        assert not alone.details["old_task"]["cached"]
    if not name.startswith("features"):
        assert together["details"]["steps"] == alone.details["steps"] == 9
        assert together["details"]["validation_nll"] == pytest.approx(alone.details["validation_nll"], abs=1e-4)


def test_only_the_main_process_writes_and_checkpoints_are_gone(two_processes):
    events = [json.loads(line) for line in (two_processes / "bert" / "events.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events].count("start") == 1
    assert [event["kind"] for event in events].count("finish") == 1
    assert not (two_processes / "bert" / "checkpoints").exists()


@pytest.mark.slow
def test_the_command_prints_once_and_a_wrong_batch_size_is_one_line(plans, tmp_path):
    plans["bert"].save(tmp_path / "plan.yaml")
    result = torchrun("-m", "hf_transfer_kit.run", str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "run"))
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.count("test accuracy") == 1
    odd = TransferPlan(
        data=plans["bert"].data, model=plans["bert"].model, approach=Full(), training=Training(batch_size=7)
    )
    odd.save(tmp_path / "odd.yaml")
    result = torchrun("-m", "hf_transfer_kit.run", str(tmp_path / "odd.yaml"), "--out", str(tmp_path / "odd"))
    assert result.returncode != 0
    line = "batch_size=7 cannot be spread evenly over 2 processes x 1 micro-batches; use a multiple of 2."
    assert result.stderr.count(line) == 1
