"""Runs with old data, from plan to record and back: what is kept, what is forgotten, what a killed run ends with."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from two_tasks import TRAINING, two_tasks, write_task

from hf_transfer_kit.approaches import FITS
from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.events import read_events
from hf_transfer_kit.plan import (
    EwcSettings,
    Features,
    Full,
    Gradual,
    Lora,
    Majority,
    ModelSpec,
    Protection,
    ReplaySettings,
    Scratch,
    Shallow,
    TopLayers,
    Training,
    TransferPlan,
)
from hf_transfer_kit.prediction import predict
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.run import run
from hf_transfer_kit.tasks.text_classification import TextClassification

EWC, REPLAY = Protection(ewc=EwcSettings()), Protection(replay=ReplaySettings(ratio=0.5))
BOTH = Protection(ewc=EwcSettings(), replay=ReplaySettings())
SHORT = replace(TRAINING, epochs=2)


@pytest.fixture(autouse=True)
def learns_fast(monkeypatch):
    """A random tiny model needs larger steps than a pre-trained one."""
    monkeypatch.setattr(TextClassification, "learning_rate", 2e-3)


@pytest.fixture
def plan(tmp_path, tiny_bert) -> TransferPlan:
    new, old = two_tasks(tmp_path / "data", rows=80)
    model = ModelSpec(name=str(tiny_bert))
    return TransferPlan(data=new, old_data=old, model=model, approach=Full(), training=TRAINING)


def share(labels, answers) -> float:
    return float(np.mean(np.asarray(labels) == np.asarray(answers)))


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_replay_keeps_what_plain_training_forgets(plan, tmp_path):
    plain, replayed = (
        run(replace(plan, protection=protection), tmp_path / name)
        for name, protection in (("plain", Protection()), ("replay", REPLAY))
    )
    for record in (plain, replayed):
        assert record.label_names == ("bad", "good", "sound", "tale")
        assert record.old.old_labels == (0, 1) and set(record.test.labels) == {2, 3}
        assert share(record.old.labels, record.old.before) > 0.8
    assert plain.old.before == replayed.old.before
    assert share(plain.old.labels, plain.old.after) < 0.1  # it has seen the new labels alone
    assert share(replayed.old.labels, replayed.old.after) > 0.5
    assert share(replayed.old.labels, replayed.old.after_among_old) > 0.8


def test_the_record_says_what_the_old_data_was_and_comes_back_from_its_file(plan, tmp_path):
    record = run(replace(plan, training=SHORT), tmp_path / "run")
    assert RunRecord.load(tmp_path / "run" / "record.json") == record
    old = load_data(plan.old_data)
    assert record.old.data.hashes == old.hashes
    assert record.old.data.rows == {part: len(old.part(part)) for part in ("train", "validation", "test")}
    assert record.old.labels == tuple(old.test["label"])
    assert record.model.name == plan.model.name
    assert record.model.weights_digest == run(replace(plan, old_data=None), tmp_path / "alone").model.weights_digest
    cached = run(replace(plan, training=SHORT, seed=1), tmp_path / "second").details["old_task"]
    assert (record.details["old_task"]["cached"], cached["cached"]) == (False, True)
    assert record.details["old_task"]["accuracy"] == share(record.old.labels, record.old.before) == cached["accuracy"]


def test_after_is_what_the_saved_model_answers_among_all_and_among_old_labels(plan, tmp_path):
    record = run(replace(plan, training=SHORT, protection=REPLAY), tmp_path / "run")
    logits = FITS[Full].load(record, tmp_path / "run" / "model").logits(load_data(plan.old_data).test["input"][:])
    assert record.old.after == tuple(logits.argmax(axis=1).tolist())
    assert record.old.after_among_old == tuple(logits[:, :2].argmax(axis=1).tolist())


def test_learning_the_old_data_is_no_cost_of_the_run(plan, tmp_path):
    record = run(plan, tmp_path / "run")
    cached = run(plan, tmp_path / "again")
    seconds = record.details["old_task"]["seconds"]
    assert record.cost.train_flops == cached.cost.train_flops
    stages = [e for e in read_events(tmp_path / "run" / "events.jsonl") if e.kind == "stage"]
    learning = next(i for i, event in enumerate(stages) if event.stage == "old data")
    whole = stages[-1].time - stages[learning].time
    assert record.cost.train_seconds < whole - 0.9 * seconds


def test_a_killed_attempt_costs_what_it_spent_after_the_old_data_was_learned(plan, tmp_path):
    plan = replace(plan, training=SHORT)
    spent = [("start", "", 0), ("stage", "old data", 1), ("progress", "old data", 5000), ("stage", "loading", 5001),
             ("progress", "training", 5401)]  # fmt: skip
    (tmp_path / "run").mkdir()
    lines = [json.dumps({"time": 1e9 + at, "kind": kind, "stage": stage}) for kind, stage, at in spent]
    (tmp_path / "run" / "events.jsonl").write_text("\n".join(lines) + "\n")
    assert 401 < run(plan, tmp_path / "run").cost.train_seconds < 500


def test_the_same_labels_on_other_inputs_stay_the_same_classes(plan, tmp_path):
    new = write_task(tmp_path / "new.csv", {"bad": ("music", "acting"), "good": ("story", "plot")}, 80)
    record = run(replace(plan, data=new, protection=REPLAY), tmp_path / "run")
    assert record.label_names == ("bad", "good") and record.old.old_labels == (0, 1)
    assert record.old.after == record.old.after_among_old
    assert share(record.old.labels, record.old.after) > 0.8


# --- every approach -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("approach", "protection"),
    [(Full(), EWC), (Full(), REPLAY), (Gradual(), Protection()), (Gradual(), BOTH), (Lora(rank=2), REPLAY),
     (TopLayers(blocks=1), REPLAY), (Features(), Protection())],
    ids=["full+ewc", "full+replay", "gradual", "gradual+ewc+replay", "lora+replay", "top_layers+replay", "features"],
)  # fmt: skip
def test_what_a_run_leaves_answers_again(approach, protection, plan, tmp_path):
    record = run(replace(plan, approach=approach, protection=protection, training=SHORT), tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()
    texts = load_data(plan.data).test["input"][:]
    found = [answer.label for answer in predict(tmp_path / "run", texts)]
    assert found == [record.label_names[number] for number in record.test.predictions]
    if approach in (Lora(rank=2), Features()):
        shutil.rmtree(os.environ["HF_TRANSFER_KIT_CACHE"])
        with pytest.raises(ModelError, match=r"no longer in the cache .* carry out the run again"):
            predict(tmp_path / "run", ["good"])


def test_frozen_features_keep_the_old_head_and_their_own_knows_new_labels_alone(plan, tmp_path):
    record = run(replace(plan, approach=Features()), tmp_path / "run")
    assert record.old.after_among_old == record.old.before_among_old
    assert set(record.old.after) <= {2, 3} and set(record.test.predictions) <= {2, 3}
    assert share(record.test.labels, record.test.predictions) > 0.8


@pytest.mark.parametrize("approach", [Majority(), Shallow(), Scratch()], ids=lambda approach: approach.name)
def test_what_never_knew_the_old_data_learns_none_of_it(approach, plan, tmp_path, own_cache):
    record = run(replace(plan, approach=approach, training=SHORT), tmp_path / "run")
    assert record.old is None and "old_task" not in record.details
    assert not (own_cache / "old_tasks").exists()
    logits = load_file(tmp_path / "run" / "scores.safetensors")["test_logits"]
    assert logits.shape[1] == 4 and np.isfinite(logits).all()
    if approach != Scratch():
        assert set(record.test.predictions) <= {2, 3}
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        assert shares[:, :2].max() < 0.01


# --- killed ---------------------------------------------------------------------------------------------------------


def test_a_protected_run_killed_in_the_middle_ends_as_an_unbroken_one_bit_for_bit(plan, tmp_path):
    training = Training(epochs=8, min_steps=0, batch_size=8, patience=8, checkpoint_seconds=0.0, dropout=0.1)
    distilled = Protection(ewc=EwcSettings(), replay=ReplaySettings(ratio=0.3, distill=0.5, sampler="herding"))
    long = replace(plan, approach=Gradual(opening_share=0.8), protection=distilled, training=training)
    run(replace(long, approach=Features(), protection=Protection()), tmp_path / "learns")
    long.save(tmp_path / "plan.yaml")
    folder = tmp_path / "broken"
    code = (
        "import sys; from pathlib import Path; from hf_transfer_kit.plan import TransferPlan;"
        "from hf_transfer_kit.tasks.text_classification import TextClassification;"
        "TextClassification.learning_rate = 2e-3; from hf_transfer_kit.run import run;"
        "run(TransferPlan.load(sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "plan.yaml"), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(folder.glob("checkpoints/checkpoint-[1-9]?/best.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "record.json").exists()
    assert {"ewc.safetensors", "replay.safetensors"} <= {
        path.name for path in (folder / "checkpoints" / "hf_transfer_kit").iterdir()
    }

    continued, unbroken = run(long, folder), run(long, tmp_path / "unbroken")
    assert json.loads((folder / "record.json").read_text())["details"]["old_task"]["cached"]
    first, second = (load_file(each / "scores.safetensors") for each in (folder, tmp_path / "unbroken"))
    assert np.array_equal(first["test_logits"], second["test_logits"])
    assert continued.old == unbroken.old and continued.details == unbroken.details
    assert [event.kind for event in read_events(folder / "events.jsonl")].count("start") == 2
    assert not (folder / "checkpoints").exists()
