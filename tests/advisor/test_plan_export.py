"""Generated scripts and commands: strong protections act in them too, names stay names, options are the real ones."""

import functools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from advisor.executed import Executed, execute, frozen_heap, logits_of_run
from click.testing import CliRunner
from two_tasks import two_tasks

from hf_transfer_kit.advisor.exports.plan_export import export_plan, launch_command
from hf_transfer_kit.advisor.exports.scripts import code, job_script, python_script
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import (
    DataSpec,
    EwcSettings,
    Features,
    Full,
    Gradual,
    L2spSettings,
    Lora,
    ModelSpec,
    Protection,
    ReplaySettings,
    TopLayers,
    Training,
    TransferPlan,
    ZeroShot,
)
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.run import run

# All 21 rows in one step: their order plays no part.
TRAINING = Training(epochs=3, min_steps=0, batch_size=21, accumulation=3, patience=9, precision="fp32")
# Stands in for the module that the line starts, which takes seconds to import; two processes of the real one are
# compared with one in tests/distributed.
STAND_IN = """
import json, sys
from pathlib import Path
from accelerate import PartialState

state = PartialState(cpu=True)
said = {"arguments": sys.argv[1:], "processes": state.num_processes, "device": state.device.type}
Path(__file__).with_name(f"{state.process_index}.json").write_text(json.dumps(said))
state.destroy_process_group()
"""


@pytest.fixture(scope="module", autouse=True)
def quick_ends():
    with frozen_heap():
        yield


@pytest.fixture(scope="module")
def plans(tiny_bert, tmp_path_factory) -> dict[str, TransferPlan]:
    new, old = (replace(spec, train_size=21) for spec in two_tasks(tmp_path_factory.mktemp("tasks")))

    def plan(approach, **settings):
        model = ModelSpec(name=str(tiny_bert))
        return TransferPlan(data=new, model=model, approach=approach, training=TRAINING, **settings)

    guarded = {"old_data": old}
    return {
        "features": plan(Features()),
        "top_layers": plan(TopLayers(blocks=1, learning_rate=1e-3)),
        "full": plan(Full(learning_rate=1e-3)),
        "gradual": plan(Gradual(learning_rate=1e-3)),
        "lora": plan(Lora(rank=2, learning_rate=1e-2)),
        "l2sp": plan(Full(learning_rate=1e-3), protection=Protection(l2sp=L2spSettings(strength=10.0))),
        "after old data": plan(Full(learning_rate=1e-3), **guarded),
        "ewc": plan(Full(learning_rate=1e-3), **guarded, protection=Protection(ewc=EwcSettings(strength=10.0))),
        "replay": plan(Full(learning_rate=1e-3), **guarded, protection=Protection(replay=ReplaySettings(ratio=0.5))),
    }


@pytest.fixture(scope="module")
def executed(plans, tmp_path_factory) -> Callable[[str], Executed]:
    """Gives what the script of a plan left; each is executed once, in a folder of its own."""

    @functools.cache
    def of(name: str) -> Executed:
        folder = tmp_path_factory.mktemp("script")
        return execute(python_script(plans[name], str(folder / "out")), folder / "script.py")

    return of


@pytest.mark.parametrize("name", ["full", "top_layers", "gradual", "lora", "l2sp", "ewc"])
def test_a_script_gives_the_answers_of_the_run_at_high_rates_and_strengths(name, plans, executed, tmp_path):
    run(plans[name], tmp_path)

    assert executed(name).best_step > 1
    np.testing.assert_allclose(executed(name).test_logits, logits_of_run(tmp_path), atol=1e-4)
    assert (Path(executed(name).names["FOLDER"]) / "model" / "config.json").is_file() or name == "lora"


@pytest.mark.parametrize(("protected", "free"), [("l2sp", "full"), ("ewc", "after old data")])
def test_the_answers_tell_whether_a_protection_acts(protected, free, executed):
    moved = np.abs(executed(protected).test_logits - executed(free).test_logits).max()

    assert moved > 1e-3  # ten times what the test above lets pass


def test_replay_is_in_its_script(executed):
    script = executed("replay")
    (replay,) = [each for each in script.callbacks if type(each).__name__ == "Replay"]

    assert replay.ratio == 0.5 and 0 <= script.accuracy <= 1  # its draws depend on the order of the batches


def test_a_job_takes_the_places_that_were_mounted_for_it(plans, tmp_path):
    plan = plans["ewc"]
    away = replace(plan, data=replace(plan.data, path="a"), old_data=replace(plan.old_data, path="b"),
                   model=ModelSpec(name="c"))  # fmt: skip
    places = ["--data", plan.data.path, "--old-data", plan.old_data.path, "--model", plan.model.name]
    execute(job_script(away), tmp_path / "job.py", "--out", str(tmp_path / "run"), *places)

    assert RunRecord.load(tmp_path / "run" / "record.json").plan == plan


def test_the_exported_yaml_is_the_plan(plans):
    for plan in plans.values():
        assert TransferPlan.from_yaml(export_plan(plan, processes=7).yaml) == plan


def test_code_makes_the_same_plan_again(plans):
    import hf_transfer_kit.plan as names

    for plan in plans.values():
        assert eval(code(plan), vars(names)) == plan


def test_names_that_look_like_code_stay_text(plans):
    hostile = 'x"""\n; import os #\\'
    plan = replace(plans["full"], data=DataSpec(path=hostile))
    for text in (python_script(plan), job_script(plan), python_script(replace(plan, approach=Features()))):
        compiled = compile(text, "script", "exec")
        assert "import os #" not in "\n".join(line for line in text.splitlines() if line.startswith("; "))
        assert compiled is not None
    assert yaml.safe_load(export_plan(plan, processes=1).yaml)["data"]["path"] == hostile


def test_the_job_says_what_to_install(plans):
    exported = export_plan(plans["features"], requirement="hf-transfer-kit>=0.1")
    header = exported.job.split("# ///")[1].removeprefix(" script\n")
    metadata = tomllib.loads("".join(line.removeprefix("# ") for line in header.splitlines(keepends=True)))

    assert metadata["dependencies"] == ["hf-transfer-kit>=0.1"]
    with pytest.raises(PlanError, match="none that pip reads"):
        job_script(plans["features"], 'kit"]\nimport os')


def test_the_hub_command_line_takes_the_job_as_it_is_meant(plans, tmp_path, monkeypatch):
    from huggingface_hub.cli.hf import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    monkeypatch.setenv("COLUMNS", "1000")
    exported = export_plan(plans["ewc"], timeout="45m", repo="me/result", flavor="l4x1")
    Path("job.py").write_text(exported.job, encoding="utf-8")
    words = shlex.split(exported.job_command)
    words.insert(words.index("run") + 1, "--dry-run")
    told = CliRunner().invoke(app, words[1:])
    said = dict(re.findall(r"^  (\w+) +(.*(?:\n {4,}.*)*)", told.output, re.MULTILINE))

    assert words[0] == "hf" and told.exit_code == 0
    assert said["script"] == "job.py" and said["flavor"] == "l4x1" and said["timeout"] == "45m"
    assert said["secrets"].startswith("HF_TOKEN")
    arguments = shlex.split(said["args"])
    assert arguments[:2] == ["--repo", "me/result"]
    assert arguments[2:] == ["--data", "/data/new.csv", "--old-data", "/old-data/old.csv", "--model", "/model"]
    for place, source in {"/data": plans["ewc"].data.path, "/model": plans["ewc"].model.name}.items():
        folder = Path(source) if Path(source).is_dir() else Path(source).parent
        assert f"{folder}:{place}" in said["volumes"] and str(folder) in " ".join(exported.notes)


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_starts(plans):
    with pytest.raises(PlanError, match="batch_size=21 cannot be shared by 2 processes x 3"):
        launch_command(plans["full"], processes=2, gpu=False)


def test_what_has_no_script_is_still_exported(plans):
    exported = export_plan(replace(plans["full"], approach=ZeroShot()), processes=1)

    assert exported.python == "" and "zero_shot has no script" in " ".join(exported.notes)
    with pytest.raises(PlanError, match="no script for 'zero_shot'"):
        python_script(replace(plans["full"], approach=ZeroShot()))


def test_the_launch_line_starts_the_processes_asked_for(plans, tmp_path):
    (tmp_path / "hf_transfer_kit").mkdir()
    (tmp_path / "hf_transfer_kit" / "__init__.py").touch()  # without it, the installed package would be found first
    (tmp_path / "hf_transfer_kit" / "run.py").write_text(STAND_IN, encoding="utf-8")
    plan = replace(plans["full"], training=replace(TRAINING, batch_size=20, accumulation=1))
    line = launch_command(plan, processes=2, gpu=False, file="plan.yaml", out="runs/mine")
    setting, *words = shlex.split(line)
    name, _, value = setting.partition("=")
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", *words[1:]]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", name: value}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=180)

    assert words[0] == "accelerate" and done.returncode == 0, done.stderr[-3000:]
    said = [json.loads(file.read_text()) for file in sorted((tmp_path / "hf_transfer_kit").glob("*.json"))]
    assert said == 2 * [{"arguments": ["plan.yaml", "--out", "runs/mine"], "processes": 2, "device": "cpu"}]
