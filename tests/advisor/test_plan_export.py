"""Every generated script runs, and gives what `transfer-kit run` gives where the order of rows cannot matter."""

import json
import os
import shlex
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from two_tasks import two_tasks

from hf_transfer_kit.advisor.plan_export import export_plan, launch_command
from hf_transfer_kit.advisor.scripts import code, job_script, python_script
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

PACKAGE = Path(__file__).parents[2]
# All 21 rows in one batch: their order plays no part.
TRAINING = Training(epochs=3, min_steps=0, batch_size=21, patience=9, precision="fp32")
RUN_ALL = """
import contextlib, io, json, runpy, sys
from pathlib import Path
from hf_transfer_kit.plan import TransferPlan
from hf_transfer_kit.run import run
folder = Path(sys.argv[1])
said = {}
for script in sorted(folder.glob("*.py")):
    sys.argv = [str(script), *(["--out", str(folder / "job-run")] if script.stem == "job" else [])]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        runpy.run_path(str(script), run_name="__main__")
    said[script.stem] = float(out.getvalue().split("test accuracy ")[-1].split()[0])
    if script.stem != "job":
        record = run(TransferPlan.load(script.with_suffix(".yaml")), folder / "runs" / script.stem)
        right = [a == b for a, b in zip(record.test.labels, record.test.predictions)]
        said[script.stem + " by the kit"] = sum(right) / len(right)
(folder / "said.json").write_text(json.dumps(said))
"""


@pytest.fixture(scope="module")
def plans(tiny_bert, text_csv, tmp_path_factory) -> dict[str, TransferPlan]:
    def plan(approach, **settings):
        data = DataSpec(path=str(text_csv), train_size=21)
        return TransferPlan(
            **{"data": data, "model": ModelSpec(name=str(tiny_bert)), "approach": approach, "training": TRAINING}
            | settings
        )

    new, old = (replace(spec, train_size=21) for spec in two_tasks(tmp_path_factory.mktemp("tasks")))
    guarded = {"data": new, "old_data": old}
    return {
        "features": plan(Features()),
        "top_layers": plan(TopLayers(blocks=1, learning_rate=1e-3)),
        "full": plan(Full(learning_rate=1e-3)),
        "gradual": plan(Gradual(learning_rate=1e-3)),
        "lora": plan(Lora(rank=2, learning_rate=1e-2)),
        "l2sp": plan(Full(learning_rate=1e-3), protection=Protection(l2sp=L2spSettings(strength=10.0))),
        "ewc": plan(Full(learning_rate=1e-3), **guarded, protection=Protection(ewc=EwcSettings(strength=10.0))),
        "replay": plan(Full(learning_rate=1e-3), **guarded, protection=Protection(replay=ReplaySettings(ratio=0.5))),
    }


@pytest.fixture(scope="module")
def said(plans, tmp_path_factory) -> dict[str, float]:
    """Test accuracy by script, each also by the kit's own run of the same plan; all in one process."""
    folder = tmp_path_factory.mktemp("scripts")
    for name, plan in plans.items():
        (folder / f"{name}.py").write_text(python_script(plan, str(folder / "out" / name)), encoding="utf-8")
        plan.save(folder / f"{name}.yaml")
    (folder / "job.py").write_text(job_script(plans["features"]), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(PACKAGE), "HF_TRANSFER_KIT_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, str(folder)], env=environment, cwd=folder, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "said.json").read_text())


@pytest.mark.parametrize("name", ["features", "top_layers", "full", "gradual", "lora", "l2sp", "ewc"])
def test_a_script_gives_the_accuracy_of_the_run(name, said):
    assert said[name] == pytest.approx(said[f"{name} by the kit"], abs=1e-4)  # four decimals are printed


def test_replay_and_the_job_run_too(said):
    assert 0 <= said["replay"] <= 1  # its draws depend on the batches' order
    assert said["job"] == pytest.approx(said["features by the kit"], abs=1e-4)


def test_the_exported_yaml_is_the_plan(plans):
    for plan in plans.values():
        assert TransferPlan.from_yaml(export_plan(plan, processes=3).yaml) == plan


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


def test_the_job_says_what_to_install_and_when_to_stop(plans):
    exported = export_plan(plans["features"], requirement="hf-transfer-kit>=0.1", timeout="45m", repo="me/result")
    header = exported.job.split("# ///")[1].removeprefix(" script\n")
    metadata = tomllib.loads("".join(line.removeprefix("# ") for line in header.splitlines(keepends=True)))
    words = shlex.split(exported.job_command)

    assert metadata["dependencies"] == ["hf-transfer-kit>=0.1"]
    assert words[words.index("--timeout") + 1] == "45m" and words[words.index("--repo") + 1] == "me/result"
    assert words[words.index("--data") + 1] == "/data/reviews.csv"  # the file lies on this machine
    assert words[words.index("--volume") + 1].endswith(":/data")
    with pytest.raises(PlanError, match="none that pip reads"):
        job_script(plans["features"], 'kit"]\nimport os')


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_starts(plans):
    with pytest.raises(PlanError, match="batch_size=21 cannot be shared by 2 processes x 1"):
        launch_command(plans["full"], processes=2, gpu=False)


def test_what_has_no_script_is_still_exported(plans):
    exported = export_plan(replace(plans["full"], approach=ZeroShot()), processes=1)

    assert exported.python == "" and "zero_shot has no script" in " ".join(exported.notes)
    with pytest.raises(PlanError, match="no script for 'zero_shot'"):
        python_script(replace(plans["full"], approach=ZeroShot()))


def test_the_launch_line_starts_the_processes_asked_for(plans, tmp_path):
    plan = replace(plans["full"], training=replace(TRAINING, batch_size=20, epochs=1))
    plan.save(tmp_path / "plan.yaml")
    line = launch_command(plan, processes=2, gpu=False, file=str(tmp_path / "plan.yaml"), out=str(tmp_path / "run"))
    setting, *words = shlex.split(line)
    name, _, value = setting.partition("=")
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", *words[1:]]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1", name: value}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)

    assert words[0] == "accelerate" and done.returncode == 0, done.stderr[-3000:]
    assert json.loads((tmp_path / "run" / "record.json").read_text())["machine"]["processes"] == "2"
