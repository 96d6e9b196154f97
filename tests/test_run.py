"""A plan in, a run folder out: its files, what is refused, what a killed run leaves, and what the command prints."""

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

from hf_transfer_kit.approaches import FITS
from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.errors import DataError, OutputError, ResourceError
from hf_transfer_kit.events import read_events
from hf_transfer_kit.metrics import apply_temperature, fit_temperature
from hf_transfer_kit.plan import DataSpec, Features, Full, Majority, ModelSpec, Scratch, Training, TransferPlan
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.run import main, run
from hf_transfer_kit.scoring import item_scores

QUICK = Training(epochs=2, min_steps=0, batch_size=8)


@pytest.fixture
def plan(text_csv, tiny_bert) -> TransferPlan:
    data, model = DataSpec(path=str(text_csv)), ModelSpec(name=str(tiny_bert))
    return TransferPlan(data=data, model=model, approach=Full(), training=QUICK)


@pytest.fixture
def no_training(text_csv) -> TransferPlan:
    return TransferPlan(data=DataSpec(path=str(text_csv)), approach=Majority())


def kinds(folder: Path) -> list[str]:
    return [event.kind for event in read_events(folder / "events.jsonl")]


# --- what a run leaves ----------------------------------------------------------------------------------------------


def test_a_run_leaves_a_complete_record_that_json_reads(plan, tmp_path):
    record = run(plan, tmp_path / "run")
    raw = json.loads((tmp_path / "run" / "record.json").read_text(), parse_constant=pytest.fail)  # no NaN in it
    assert (raw["format"], raw["version"]) == ("hf_transfer_kit.record", 1)
    assert RunRecord.load(tmp_path / "run" / "record.json") == record
    assert TransferPlan.load(tmp_path / "run" / "plan.yaml") == record.plan == plan
    assert record.task == "text-classification" and record.label_names == ("neg", "pos")
    assert record.data.rows == {"train": 78, "validation": 18, "test": 24}
    assert record.data.labels_used == 96
    assert set(record.data.hashes) == {"train", "validation", "test"}
    assert len(record.model.weights_digest) == 32
    assert {"python", "torch", "transformers", "peft"} <= set(record.versions)
    assert all(record.machine.values())
    cost = record.cost
    assert min(cost.train_seconds, cost.train_cpu_seconds, cost.train_flops, cost.ms_per_prediction) > 0
    saved = {file.name: file.stat().st_size for file in (tmp_path / "run" / "model").rglob("*")}
    assert saved.pop("README.md") > 0  # the model card, which no answer needs
    assert cost.disk_mib * 2**20 == sum(saved.values())
    assert kinds(tmp_path / "run")[0] == "start" and kinds(tmp_path / "run")[-1] == "finish"


def test_scores_and_temperature_agree_with_the_logits_that_are_kept(plan, tmp_path):
    record = run(plan, tmp_path / "run")
    scores = load_file(tmp_path / "run" / "scores.safetensors")
    assert scores["test_logits"].shape == (24, 2) and scores["validation_logits"].shape == (18, 2)
    assert record.test.predictions == tuple(scores["test_logits"].argmax(axis=1).tolist())
    probabilities = np.exp(scores["test_logits"]) / np.exp(scores["test_logits"]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(record.test.confidence, probabilities.max(axis=1), atol=1e-5)
    scaled = apply_temperature(scores["test_logits"], record.temperature)
    np.testing.assert_allclose(record.test.log_likelihood, scaled[np.arange(24), list(record.test.labels)], atol=1e-5)
    labels = np.array(load_data(plan.data).validation["label"])
    assert record.temperature == pytest.approx(fit_temperature(scores["validation_logits"], labels), rel=1e-3)
    assert record.validation_accuracy == (scores["validation_logits"].argmax(axis=1) == labels).mean()


def test_item_scores_by_hand():
    scores = item_scores(np.log(np.array([[0.8, 0.2], [0.4, 0.6]])), np.array([0, 0]), temperature=1.0)
    assert scores.predictions == (0, 1) and scores.labels == (0, 0)
    assert scores.confidence == (0.8, 0.6) == scores.calibrated_confidence
    assert scores.log_likelihood == (round(float(np.log(0.8)), 6), round(float(np.log(0.4)), 6))
    hotter = item_scores(np.log(np.array([[0.8, 0.2]])), np.array([0]), temperature=1e9)
    assert hotter.calibrated_confidence == (0.5,) and hotter.confidence == (0.8,)


def test_a_train_size_counts_training_and_validation_labels(plan, tmp_path):
    small = replace(plan, data=replace(plan.data, train_size=10))
    record = run(small, tmp_path / "run")
    assert record.data.rows == {"train": 10, "validation": 10, "test": 24}
    assert record.data.labels_used == 20
    assert record.data.hashes == run(plan, tmp_path / "all").data.hashes  # those of the parts before the draw
    assert len(record.test.labels) == 24


def test_a_random_start_is_recorded_as_such(plan, tmp_path):
    record = run(replace(plan, approach=Scratch()), tmp_path / "run")
    assert record.model.weights_digest == "random start"


def test_seeds_differ_and_one_seed_repeats_itself(plan, tmp_path):
    first, again, other = (
        run(replace(plan, seed=seed), tmp_path / name) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first.test == again.test
    assert first.test != other.test


@pytest.mark.parametrize("approach", [Majority(), Features()], ids=lambda approach: approach.name)
def test_approaches_that_train_nothing_leave_the_same_files(approach, plan, tmp_path):
    run(replace(plan, approach=approach), tmp_path / "run")
    files = set(os.listdir(tmp_path / "run"))
    assert {"plan.yaml", "events.jsonl", "record.json", "scores.safetensors", "model"} <= files


# --- folders --------------------------------------------------------------------------------------------------------


def test_a_finished_folder_is_only_read(no_training, tmp_path):
    record = run(no_training, tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*") if path.is_file()}
    assert run(no_training, tmp_path) == record
    after = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*") if path.is_file()}
    assert before == after


def test_a_folder_of_another_plan_is_refused_and_left_alone(no_training, tmp_path):
    run(no_training, tmp_path)
    events = (tmp_path / "events.jsonl").read_bytes()
    with pytest.raises(OutputError, match="holds a run of another plan; choose another --out"):
        run(replace(no_training, seed=1), tmp_path)
    assert (tmp_path / "events.jsonl").read_bytes() == events


def test_a_file_in_the_place_of_the_folder_is_refused(no_training, tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OutputError, match=r"cannot be written.*choose another --out"):
        run(no_training, tmp_path / "run")


# --- errors ---------------------------------------------------------------------------------------------------------


def test_an_error_of_the_kit_is_an_event(no_training, tmp_path):
    with pytest.raises(DataError):
        run(replace(no_training, data=DataSpec(path="/nowhere.csv")), tmp_path)
    last = list(read_events(tmp_path / "events.jsonl"))[-1]
    assert last.kind == "error" and "/nowhere.csv" in last.message


class Failing(type(FITS[Majority])):
    """A fit that raises what it is given."""

    def __init__(self, error: BaseException):
        self._error = error

    def fit(self, job):
        raise self._error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "memory ran out; lower training.batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory ran out"),
        (OSError(28, "No space left on device"), "the disk is full; make room"),
    ],
)
def test_a_shortage_is_one_line_with_a_way_out(error, message, no_training, tmp_path, monkeypatch):
    monkeypatch.setitem(FITS, Majority, Failing(error))
    with pytest.raises(ResourceError, match=message):
        run(no_training, tmp_path)
    assert message in list(read_events(tmp_path / "events.jsonl"))[-1].message


def test_any_other_error_is_an_event_and_stays_what_it_is(no_training, tmp_path, monkeypatch):
    monkeypatch.setitem(FITS, Majority, Failing(ZeroDivisionError("by zero")))
    with pytest.raises(ZeroDivisionError):
        run(no_training, tmp_path)
    assert list(read_events(tmp_path / "events.jsonl"))[-1].message == "by zero"


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_shows_progress_and_keeps_what_libraries_print_in_the_log(plan, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan.save(tmp_path / "mine.yaml")
    assert main(["mine.yaml"]) == 0
    shown = capfd.readouterr()
    assert "training 20/20" in shown.out and "validation accuracy" in shown.out
    assert "test accuracy" in shown.out and "runs/mine/record.json" in shown.out
    assert shown.err == "" and "eval_loss" not in shown.out
    assert "eval_loss" in (tmp_path / "runs" / "mine" / "log.txt").read_text()


def test_output_below_python_goes_to_the_log_as_well(no_training, tmp_path, capfd, monkeypatch):
    class Loud(type(FITS[Majority])):
        def fit(self, job):
            os.write(1, b"from C to stdout\n")
            os.write(2, b"from C to stderr\n")
            return super().fit(job)

    monkeypatch.setitem(FITS, Majority, Loud())
    no_training.save(tmp_path / "plan.yaml")
    assert main([str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "run")]) == 0
    shown = capfd.readouterr()
    assert "from C" not in shown.out + shown.err
    assert (tmp_path / "run" / "log.txt").read_text().count("from C") == 2
    os.write(1, b"back again\n")
    assert "back again" in capfd.readouterr().out


def test_an_error_is_one_line_and_exit_code_two_and_debug_shows_the_traceback(no_training, tmp_path, capfd):
    replace(no_training, data=DataSpec(path="/nowhere.csv")).save(tmp_path / "plan.yaml")
    arguments = [str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "run")]
    assert main(arguments) == 2
    error = capfd.readouterr().err
    assert error.startswith("transfer-kit: ") and error.count("\n") == 1 and "/nowhere.csv" in error
    assert "Traceback" in (tmp_path / "run" / "log.txt").read_text()
    assert main([*arguments, "--debug"]) == 2
    assert "Traceback" in capfd.readouterr().err


def test_a_plan_that_cannot_be_read_is_one_line_and_makes_no_folder(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["nothing.yaml"]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_the_folder_of_another_plan_gets_no_log(no_training, tmp_path, capfd):
    run(no_training, tmp_path / "run")
    replace(no_training, seed=1).save(tmp_path / "plan.yaml")
    assert main([str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "run")]) == 2
    assert not (tmp_path / "run" / "log.txt").exists()


def test_other_processes_than_the_first_print_nothing(no_training, tmp_path, capfd, monkeypatch):
    replace(no_training, data=DataSpec(path="/nowhere.csv")).save(tmp_path / "plan.yaml")
    monkeypatch.setenv("RANK", "1")
    assert main([str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "run")]) == 2
    assert capfd.readouterr() == ("", "")


def test_ctrl_c_says_how_to_continue_and_ends_with_130(no_training, tmp_path, capfd, monkeypatch):
    class Interrupted(type(FITS[Majority])):
        def fit(self, job):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setitem(FITS, Majority, Interrupted())
    no_training.save(tmp_path / "plan.yaml")
    assert main([str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "run")]) == 130
    assert capfd.readouterr().err == "transfer-kit: interrupted; the same command continues where it stopped.\n"
    assert "interrupted" in list(read_events(tmp_path / "run" / "events.jsonl"))[-1].message


# --- killed ---------------------------------------------------------------------------------------------------------


def test_a_run_killed_in_the_middle_ends_with_the_scores_of_an_unbroken_one_bit_for_bit(plan, tmp_path):
    training = Training(epochs=12, min_steps=0, batch_size=8, patience=12, checkpoint_seconds=0.0, dropout=0.1)
    long = replace(plan, training=training)
    long.save(tmp_path / "plan.yaml")
    folder = tmp_path / "broken"
    command = [sys.executable, "-m", "hf_transfer_kit.run", str(tmp_path / "plan.yaml"), "--out", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(folder.glob("checkpoints/checkpoint-*/best.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "record.json").exists()
    [complete] = {path.parent for path in folder.glob("checkpoints/checkpoint-*/best.safetensors")}
    incomplete = complete.with_name("checkpoint-9999")
    shutil.copytree(complete, incomplete)
    (incomplete / "best.safetensors").unlink()

    whole = replace(long, training=replace(training, checkpoint_seconds=60.0))
    continued, unbroken = run(long, folder), run(whole, tmp_path / "unbroken")
    evaluated = [event.done for event in read_events(folder / "events.jsonl") if "eval_nll" in event.values]
    assert evaluated.count(12) == 1  # not repeated: training went on from the checkpoint after it
    first, second = (load_file(each / "scores.safetensors") for each in (folder, tmp_path / "unbroken"))
    assert np.array_equal(first["test_logits"], second["test_logits"])
    assert continued.test == unbroken.test and continued.temperature == unbroken.temperature
    assert continued.details == unbroken.details
    assert continued.cost.train_seconds > 0
    assert kinds(folder).count("start") == 2
    assert not (folder / "checkpoints").exists()
