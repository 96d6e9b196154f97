import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from finished_study import QUICK, finished_study, make_study

from hf_transfer_kit.errors import ModelError, OutputError, PlanError, ResourceError
from hf_transfer_kit.plan import DataSpec, Features, Full, Lora, Majority, ModelSpec, TopLayers
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.study import preflight
from hf_transfer_kit.study.folder import StudyFolder
from hf_transfer_kit.study.study import Study, carry_out
from hf_transfer_kit.study.watcher import Silent


class Watching(Silent):
    """Remembers what it is told; calls `on_event` with (name of the run, event)."""

    def __init__(self, on_event=None):
        self.missing, self.kept, self.ended, self.current, self.on_event = [], 0, {}, "", on_event

    def runs_planned(self, missing, kept):
        self.missing, self.kept = list(missing), kept

    def run_started(self, name, number, total):
        self.current = name

    def run_event(self, event):
        if self.on_event:
            self.on_event(self.current, event)

    def run_ended(self, name, message, seconds):
        self.ended[name] = message


@pytest.fixture
def finished(text_csv, tiny_bert, tmp_path):
    """A copy of a comparison of all approaches that a test may change."""
    return shutil.copytree(finished_study(text_csv, tiny_bert), tmp_path / "finished")


def answers(folder):
    """What every run in a folder answered, by its name."""
    records = {path.parent: RunRecord.load(path) for path in folder.glob("runs/**/record.json")}
    return {str(run.relative_to(folder / "runs")): record.test for run, record in records.items()}


def without_costs(value):
    """A comparison without what differs from one run to the next: seconds, memory, and sentences on them."""
    if isinstance(value, dict):
        left_out = ("cost", "command", "verdict", "next_step", "warnings")
        return {key: without_costs(item) for key, item in value.items() if key not in left_out}
    return [without_costs(item) for item in value] if isinstance(value, list) else value


def comparison_in(folder):
    return without_costs(json.loads((folder / "comparison.json").read_text()))


# --- what is run ----------------------------------------------------------------------------------------------------


def test_every_approach_runs_on_every_model_seed_and_size_and_the_controls_once_per_seed():
    study = Study(
        data=DataSpec(path="x.csv"), models=(ModelSpec(name="org/a"), ModelSpec(name="org/b")),
        approaches=(Features(), Full()), seeds=3, train_sizes=(64, None),
    )  # fmt: skip

    plans = study.plans()

    # size 64: (2 controls + 2 approaches x 2 models) x 3 seeds; all: controls and features have no randomness
    assert len(plans) == (2 + 4) * 3 + (2 + 2) * 1 + 2 * 3
    assert plans["b/full/64/seed-2"].data.train_size == 64
    assert plans["b/full/64/seed-2"].model == ModelSpec(name="org/b")
    assert len({plan.digest() for plan in plans.values()}) == len(plans)


def test_models_of_one_name_get_folders_of_their_own():
    models = (ModelSpec(name="one/bert"), ModelSpec(name="two/bert"), ModelSpec(name="controls"))
    study = Study(data=DataSpec(path="x.csv"), models=models, approaches=(Features(),))

    assert {name.split("/")[0] for name in study.plans()} == {"controls", "bert", "bert-2", "controls-2"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": 0}, "seeds=0"),
        ({"train_sizes": (64, 64)}, "train size '64' is given twice"),
        ({"train_sizes": (0,)}, "train size 0"),
        ({"train_sizes": ()}, "no train size"),
        ({"models": ()}, "add --model"),
        ({"models": (ModelSpec(name="a"), ModelSpec(name="a", revision="main"))}, "model 'a' is given twice"),
        ({"approaches": (TopLayers(), TopLayers(blocks=3))}, "approach 'top_layers' is given twice"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(settings, message):
    usual = {"data": DataSpec(path="x.csv"), "models": (ModelSpec(name="a"),), "approaches": (Features(),)}
    with pytest.raises(PlanError, match=message):
        Study(**(usual | settings))


# --- started again --------------------------------------------------------------------------------------------------


def test_a_finished_study_is_kept_and_grows(finished, text_csv, tiny_bert):
    before, watcher = answers(finished), Watching()
    study = make_study(text_csv, tiny_bert, approaches=(Features(), Full()), seeds=2)

    comparison = carry_out(study, finished, watcher)

    assert watcher.missing == ["tiny-bert/full/all/seed-1"]
    assert watcher.kept == 4
    assert {name: test for name, test in answers(finished).items() if name in before} == before
    assert {arm.name: arm.seeds for arm in comparison.arms}["full"] == (0, 1)


def test_kill_9_in_the_middle_leaves_nothing_running_and_the_same_command_ends_with_the_same_report(
    finished, text_csv, tiny_bert, tmp_path
):
    out, study = tmp_path / "out", make_study(text_csv, tiny_bert, approaches=(Features(), Full(), Lora()))
    code = (
        "import sys; from finished_study import make_study;"
        "from hf_transfer_kit import Features, Full, Lora, carry_out;"
        "carry_out(make_study(*sys.argv[1:3], approaches=(Features(), Full(), Lora())), sys.argv[3])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", code, str(text_csv), str(tiny_bert), str(out)]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    wait_for(out / "runs/tiny-bert/full/all/seed-0/events.jsonl", process)
    at_work = psutil.Process(process.pid).children(recursive=True)
    with pytest.raises(OutputError, match="another comparison is at work"):
        carry_out(study, out)
    process.kill()
    process.wait()

    _, left = psutil.wait_procs(at_work, timeout=20)  # 3 seconds on an idle machine
    assert at_work
    assert not left
    assert not (out / "runs/tiny-bert/full/all/seed-0/record.json").exists()
    first = {name: (out / "runs" / name / "record.json").read_bytes() for name in answers(out)}

    watcher = Watching()
    carry_out(study, out, watcher)

    assert watcher.kept == len(first) == 3
    assert {name: (out / "runs" / name / "record.json").read_bytes() for name in first} == first
    carry_out(study, finished)
    assert comparison_in(out) == comparison_in(finished)


def wait_for(path, process):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, "the study ended too early"
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.02)


def test_a_killed_run_is_a_failure_the_others_go_on_and_the_next_call_tries_it_again(text_csv, tiny_bert, tmp_path):
    def kill(name, event):
        if name.startswith("tiny-bert/full") and event.kind == "start":
            server = psutil.Process().children()
            (worker,) = (run for process in server for run in process.children())
            worker.kill()

    study = make_study(text_csv, tiny_bert, approaches=(Full(), Lora()))
    watcher = Watching(kill)

    comparison = carry_out(study, tmp_path / "out", watcher)

    (failure,) = comparison.failures
    assert failure.run == "tiny-bert/full/all/seed-0"
    assert "killed by signal 9" in failure.message
    assert watcher.ended["tiny-bert/lora/all/seed-0"] == ""
    again = Watching()
    assert not carry_out(study, tmp_path / "out", again).failures
    assert again.missing == ["tiny-bert/full/all/seed-0"]


def test_ctrl_c_ends_the_run_at_once_and_keeps_what_is_finished(text_csv, tiny_bert, tmp_path):
    def interrupt(name, event):
        if name.startswith("tiny-bert"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(make_study(text_csv, tiny_bert), tmp_path / "out", Watching(interrupt))

    assert not [run for server in psutil.Process().children() for run in server.children()]
    watcher = Watching()
    carry_out(make_study(text_csv, tiny_bert), tmp_path / "out", watcher)
    assert watcher.kept == 2


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_says_how_to_go_on(text_csv, tiny_bert, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "hf_transfer_kit.cli", "compare", "--data", text_csv, "--model", tiny_bert]
    process = subprocess.Popen([*command, "--out", out], stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(out / "runs/tiny-bert/full/all/seed-0/plan.yaml", process)

    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert errors == "transfer-kit: interrupted; what is finished is kept, the same command does the rest.\n"


# --- what cannot go on ----------------------------------------------------------------------------------------------


def test_a_folder_of_another_comparison_is_refused_with_what_differs(finished, text_csv, tiny_bert):
    before = answers(finished)
    study = make_study(text_csv, tiny_bert)
    data = dataclasses.replace(study, data=DataSpec(path=str(text_csv), split_seed=1))
    training = dataclasses.replace(study, training=dataclasses.replace(QUICK, epochs=7))
    approach = make_study(text_csv, tiny_bert, approaches=(TopLayers(blocks=2),))

    for other, message in (
        (data, "data.split_seed is 0, now 1"),
        (training, "training.epochs is 1, now 7"),
        (approach, "approach.blocks is 1, now 2"),
    ):
        with pytest.raises(OutputError, match=message):
            carry_out(other, finished)
    assert answers(finished) == before


def test_changed_data_or_weights_under_the_same_name_are_noticed(text_csv, tiny_bert, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text(text_csv.read_text())
    model = shutil.copytree(tiny_bert, tmp_path / "model")
    study = make_study(data, model)
    carry_out(study, tmp_path / "out")

    config = (model / "config.json").read_text()
    (model / "config.json").write_text(config.replace('"hidden_act": "gelu"', '"hidden_act": "relu"'))
    with pytest.raises(OutputError, match=r"model '.*model' has changed"):
        carry_out(study, tmp_path / "out")
    (model / "config.json").write_text(config)
    data.write_text(data.read_text() + "a nice new film,pos\n")
    with pytest.raises(OutputError, match="has changed since the runs"):
        carry_out(study, tmp_path / "out")


def test_a_folder_with_other_files_or_a_file_is_refused_and_left_alone(text_csv, tiny_bert, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")

    for name, message in (("mine", "holds no comparison"), ("mine/notes.txt", "is, or lies below")):
        with pytest.raises(OutputError, match=message):
            carry_out(make_study(text_csv, tiny_bert), tmp_path / name)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_two_studies_at_once_in_one_folder_are_refused(text_csv, tiny_bert, tmp_path):
    with StudyFolder(tmp_path / "out"), pytest.raises(OutputError, match="another comparison is at work"):
        carry_out(make_study(text_csv, tiny_bert), tmp_path / "out")


def test_what_could_not_begin_leaves_no_folder_behind(text_csv, tiny_bert, tmp_path):
    with pytest.raises(ModelError):
        carry_out(make_study(text_csv, tmp_path / "no-model"), tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()

    carry_out(Study(data=DataSpec(path=str(text_csv)), models=(), approaches=(Majority(),)), tmp_path / "deep" / "out")
    assert (tmp_path / "deep/out/report.html").exists()


def test_a_run_that_fails_is_reported_and_the_others_count(text_csv, tiny_bert, tmp_path):
    study = make_study(text_csv, tiny_bert, approaches=(Features(), Full()))
    study = dataclasses.replace(study, models=(ModelSpec(name=str(tiny_bert), blocks=("encoder.nowhere",)),))

    comparison = carry_out(study, tmp_path / "out")

    (failure,) = comparison.failures
    assert failure.run == "tiny-bert/full/all/seed-0"
    assert "encoder.nowhere" in failure.message
    assert "features" in [arm.name for arm in comparison.arms]
    assert "encoder.nowhere" in (tmp_path / "out/report.md").read_text()


def test_too_little_disk_or_memory_is_said_before_the_first_run(text_csv, tiny_bert, tmp_path, monkeypatch):
    study = make_study(text_csv, tiny_bert, approaches=(Full(),))
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(ResourceError, match=r"MiB of disk.* 0 MiB free"):
        carry_out(study, tmp_path / "out")
    monkeypatch.undo()
    memory = psutil.virtual_memory()
    monkeypatch.setattr(preflight.psutil, "virtual_memory", lambda: memory._replace(available=1))
    with pytest.raises(ResourceError, match="of memory"):
        carry_out(study, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_up_ends_the_study_in_one_line_and_keeps_what_is_finished(
    text_csv, tiny_bert, tmp_path, monkeypatch
):
    from hf_transfer_kit.study import run_process

    def fill(name, event):
        if name.startswith("tiny-bert"):
            usage = shutil._ntuple_diskusage(10, 10, 0)
            monkeypatch.setattr(run_process.shutil, "disk_usage", lambda path: usage)

    spec = (ModelSpec(name=str(tiny_bert), blocks=("encoder.nowhere",)),)
    study = dataclasses.replace(make_study(text_csv, tiny_bert, approaches=(Full(), Lora())), models=spec)
    watcher = Watching(fill)
    with pytest.raises(ResourceError, match=r"disk of .* is full; make room"):
        carry_out(study, tmp_path / "out", watcher)

    assert set(answers(tmp_path / "out")) == {"controls/majority/all/seed-0", "controls/shallow/all/seed-0"}
    assert watcher.current == "tiny-bert/full/all/seed-0"  # the runs to come are not tried
