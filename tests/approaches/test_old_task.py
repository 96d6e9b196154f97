"""The model that knows the old data: learned once, shared, continued after a kill, skipped where it knows already."""

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from two_tasks import OLD, TRAINING, two_tasks, write_task

from hf_transfer_kit.approaches import Job, old_task, start
from hf_transfer_kit.approaches.build import build
from hf_transfer_kit.approaches.loop import train
from hf_transfer_kit.approaches.old_task import know_old_task
from hf_transfer_kit.approaches.trained import TrainedPredictor
from hf_transfer_kit.data.labelled import load_data, subset_rows
from hf_transfer_kit.data.old import load_with_old
from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.events import EventWriter, read_events
from hf_transfer_kit.plan import EwcSettings, Full, Gradual, ModelSpec, Protection, TopLayers, TransferPlan
from hf_transfer_kit.tasks import get_task


@pytest.fixture
def make(tmp_path: Path, tiny_bert: Path):
    """Gives (job, old data); keyword arguments override settings of the plan."""
    new, old = two_tasks(tmp_path / "data")
    numbers = iter(range(100))

    def make_job(**settings):
        parts = {"data": new, "old_data": old, "model": ModelSpec(name=str(tiny_bert)), "approach": Full()}
        plan = TransferPlan(**(parts | {"training": replace(TRAINING, epochs=2)} | settings))
        data, old_data = load_with_old(plan.data, plan.old_data)
        rows = subset_rows(data, plan.data.train_size, plan.seed)
        folder = tmp_path / f"run-{next(numbers)}"
        job = Job(
            plan=plan, task=get_task(data.task), data=data, train_rows=rows["train"],
            validation_rows=rows["validation"], folder=folder, events=EventWriter(folder / "events.jsonl"),
        )  # fmt: skip
        return job, old_data

    return make_job


@pytest.fixture
def trainings(monkeypatch) -> list[str]:
    """Grows by the stage of every training."""
    seen: list[str] = []

    def counted(*args, **settings):
        seen.append(settings["stage"])
        return train(*args, **settings)

    monkeypatch.setattr(old_task, "train", counted)
    return seen


@pytest.fixture
def knowing(tiny_bert: Path, tmp_path: Path) -> Path:
    """Folder of a classifier whose own labels are "poor", "good" and "bad", in this order."""
    names = ("poor", "good", "bad")
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        tiny_bert, id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)}
    )
    for part in (model, AutoTokenizer.from_pretrained(tiny_bert)):
        part.save_pretrained(tmp_path / "knowing")
    return tmp_path / "knowing"


def answers(job: Job, spec: ModelSpec, texts: list[str]) -> np.ndarray:
    """Logits of a saved model, with its own labels."""
    model = AutoModelForSequenceClassification.from_pretrained(spec.name)
    return TrainedPredictor(job.task, model, job.task.load_processor(spec), 16).logits(texts)


class Break(TrainerCallback):
    """Ends a training at a step as an error would."""

    def __init__(self, step: int):
        self._step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self._step:
            raise RuntimeError("broken off")


# --- one for all ----------------------------------------------------------------------------------------------------


def test_runs_of_other_approaches_seeds_and_sizes_share_what_the_first_one_learned(make, trainings):
    job, data = make()
    first = know_old_task(job, data)
    assert trainings == ["old data"] and first.details["learned"] and not first.details["cached"]
    shared = [
        {"seed": 3},
        {"approach": Gradual(), "protection": Protection(ewc=EwcSettings())},
        {"data": replace(job.plan.data, train_size=8)},
        {"training": replace(job.plan.training, checkpoint_seconds=1.0, report_to=("wandb",))},
    ]
    for settings in shared:
        again = know_old_task(*make(**settings))
        assert again.key == first.key and again.details["cached"]
        assert again.details["seconds"] == first.details["seconds"] > 0
        assert np.array_equal(again.before, first.before)
    assert trainings == ["old data"]


def test_whatever_changes_the_model_is_learned_anew(make, monkeypatch, tiny_bert, tmp_path):
    trainings = []
    monkeypatch.setattr(old_task, "train", lambda *args, **settings: trainings.append(settings["stage"]))
    job, data = make()
    keys = {know_old_task(job, data).key}
    other_model = tmp_path / "other"
    shutil.copytree(tiny_bert, other_model)
    config = (other_model / "config.json").read_text()
    (other_model / "config.json").write_text(config.replace('"gelu"', '"relu"'))
    for settings in (
        {"training": replace(job.plan.training, epochs=3)},
        {"old_data": replace(job.plan.old_data, train_size=20)},
        {"old_data": write_task(tmp_path / "more.csv", OLD, 61)},
        {"data": write_task(tmp_path / "named.csv", {"news": ("story",), "views": ("plot",)}, 60)},
        {"model": ModelSpec(name=str(other_model))},
        {"data": replace(job.plan.data, max_length=8), "old_data": replace(job.plan.old_data, max_length=8)},
    ):
        keys.add(know_old_task(*make(**settings)).key)
    assert len(keys) == len(trainings) == 7


def test_before_is_what_the_starting_model_answers(make):
    job, data = make()
    known = know_old_task(job, data)
    np.testing.assert_allclose(answers(job, known.start, data.test["input"][:]), known.before, atol=1e-5)
    assert known.before.shape == (len(data.test), 4)
    right = known.before.argmax(axis=1) == np.asarray(data.test["label"][:])
    assert known.details["accuracy"] == right.mean()


def test_it_is_what_approach_full_with_seed_0_learns_from_the_old_data(make):
    from hf_transfer_kit.approaches.trained import TrainedFit

    job, data = make(seed=5)
    known = know_old_task(job, data)
    plan = replace(job.plan, data=job.plan.old_data, old_data=None, seed=0)
    alone = replace(job, plan=plan, data=data, train_rows=known.train_rows, validation_rows=known.validation_rows)
    np.testing.assert_array_equal(TrainedFit().fit(alone).test_logits, known.before)


def test_every_seed_starts_from_its_weights_head_included(make):
    job, data = make(seed=4)
    known = know_old_task(job, data)
    built = build(replace(job, old=known))
    saved = AutoModelForSequenceClassification.from_pretrained(known.start.name).state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in built.model.state_dict().items())
    rates = {id(p): group["lr"] for group in built.optimizer.param_groups for p in group["params"]}
    assert rates[id(built.model.classifier.weight)] == rates[id(built.model.bert.pooler.dense.weight)] == 5e-5
    alone = build(replace(job, plan=replace(job.plan, approach=TopLayers(blocks=0)), old=known))
    assert {group["lr"] for group in alone.optimizer.param_groups if group["name"].startswith("new")} == {1e-3}


# --- knows already --------------------------------------------------------------------------------------------------


def test_a_classifier_that_answers_every_old_label_learns_nothing(make, knowing, trainings):
    job, data = make(model=ModelSpec(name=str(knowing)))
    known = know_old_task(job, data)
    assert trainings == [] and not known.details["learned"]
    own = answers(job, ModelSpec(name=str(knowing)), data.test["input"][:])
    assert data.label_names == ("bad", "good", "sound", "tale")
    np.testing.assert_allclose(known.before[:, :2], own[:, [2, 1]], atol=1e-5)
    assert not any(np.allclose(known.before[:, new], own[:, 0], atol=1e-3) for new in (2, 3))


def test_a_classifier_that_lacks_one_old_label_learns(make, knowing, trainings, tmp_path):
    words = {"good": ("good", "great"), "bad": ("bad", "awful"), "mixed": ("and", "a")}
    know_old_task(*make(model=ModelSpec(name=str(knowing)), old_data=write_task(tmp_path / "three.csv", words, 60)))
    assert trainings == ["old data"]


# --- the cache ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["model/model.safetensors", "before.safetensors", "learned.json"])
def test_a_damaged_model_is_made_again(damage, make, trainings):
    job, data = make()
    known = know_old_task(job, data)
    file = start.folder_of(known.key) / damage
    file.write_bytes(file.read_bytes()[:-3])
    again = know_old_task(job, data)
    np.testing.assert_array_equal(again.before, known.before)
    assert len(trainings) == 2


def test_a_killed_one_is_continued_and_ends_as_an_unbroken_one_bit_for_bit(make, monkeypatch, own_cache):
    settings = {"training": replace(TRAINING, epochs=4, checkpoint_seconds=0.0, dropout=0.1)}
    job, data = make(**settings)

    def broken(*args, **kwargs):
        return train(*args, **kwargs, callbacks=(Break(14),))

    monkeypatch.setattr(old_task, "train", broken)
    with pytest.raises(RuntimeError, match="broken off"):
        know_old_task(job, data)
    root = own_cache / "old_tasks"
    [unfinished] = root.glob(".unfinished-*")
    assert [path.name for path in unfinished.glob("checkpoints/checkpoint-*")] == ["checkpoint-10"]
    monkeypatch.undo()
    monkeypatch.setenv("HF_TRANSFER_KIT_CACHE", str(own_cache))
    continued = know_old_task(job, data)
    evaluated = [event.done for event in read_events(job.folder / "events.jsonl") if "eval_nll" in event.values]
    assert evaluated.count(5) == 1  # not repeated
    assert {path.name for path in root.iterdir()} == {continued.key, f"{continued.key}.lock"}

    monkeypatch.setenv("HF_TRANSFER_KIT_CACHE", str(own_cache) + "-2")
    np.testing.assert_array_equal(know_old_task(*make(**settings)).before, continued.before)


def test_a_second_run_waits_for_the_first_and_says_so(make, trainings, own_cache):
    from filelock import FileLock

    job, data = make()
    key = know_old_task(job, data).key
    done = []
    with FileLock(own_cache / "old_tasks" / f"{key}.lock"):
        waiting = threading.Thread(target=lambda: done.append(know_old_task(job, data)))
        waiting.start()
        deadline = time.monotonic() + 20
        while not any("waiting" in event.message for event in read_events(job.folder / "events.jsonl")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert not done
    waiting.join(20)
    assert done[0].details["cached"]


def test_learning_is_a_stage_of_its_own(make):
    job, data = make()
    know_old_task(job, data)
    events = list(read_events(job.folder / "events.jsonl"))
    assert [event.message for event in events if event.kind == "stage"] == ["learning the old data"]
    progress = [event for event in events if event.kind == "progress"]
    assert progress and {event.stage for event in progress} == {"old data"}
    assert progress[-1].done == progress[-1].total == 2 * 5


def test_what_is_gone_from_the_cache_is_said_with_the_way_out():
    with pytest.raises(ModelError, match=r"no longer in the cache .*set HF_TRANSFER_KIT_CACHE to where it was, or"):
        start.starting_model("0123")


def test_old_data_alone_has_no_share_in_the_key_of_its_rows(make):
    job, data = make()
    known = know_old_task(job, data)
    assert len(known.train_rows) == len(load_data(job.plan.old_data).train)
    small = know_old_task(*make(old_data=replace(job.plan.old_data, train_size=20)))
    assert len(small.train_rows) == 20 and len(small.validation_rows) <= 20
