"""What the documents show is what runs."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_training import make_args, make_data, make_model
from transformers import Trainer

from hf_transfer_kit.plan import TransferPlan

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TRAINER_SCRIPTS = [file for file in EXAMPLES if file.name not in ("advise.py", "compare.py", "prompts.py")]


def test_the_readme_holds_the_two_commands_that_ci_takes_out_of_it():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    assert [line.strip() for line in lines if line.startswith("    pip install") and "&&" in line] == [
        'pip install -c constraints.txt -e ".[demo]" && transfer-kit demo',
        'pip install -c constraints.txt -e ".[test]" && pytest',
    ]


def test_the_readme_names_every_module_and_folder_of_the_package():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    entries = {path.name for path in (ROOT / "hf_transfer_kit").iterdir() if path.name[0] not in "_."}

    assert [name for name in sorted(entries - {"py.typed"}) if name not in readme] == []


def test_the_plan_in_the_format_description_is_a_plan():
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)

    plan = TransferPlan.from_yaml(block)

    assert yaml.safe_load(block)["approach"]["decay"] == plan.approach.decay


def test_every_example_is_the_base_script_and_marked_lines():
    base = (ROOT / "examples" / "base.py").read_text(encoding="utf-8").splitlines()
    for file in TRAINER_SCRIPTS:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.endswith("# New")]
        allowed = {line for line in lines if line.startswith('"""') or 'arguments("' in line}
        assert [line for line in lines if line not in base and line not in allowed] == [], file.name


@pytest.mark.slow
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_runs(file, tmp_path):
    environment = os.environ | {"HF_TRANSFER_KIT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, file], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("file", TRAINER_SCRIPTS, ids=lambda file: file.name)
def test_every_trainer_script_runs_in_two_processes(file, tmp_path):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(file)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *launch], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("old task:")]
    assert len(said) == 2 and said[0] == said[1]  # both processes hold the same model


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_callbacks_of_the_readme_run_in_a_trainer(tmp_path):
    callbacks, _ = python_blocks()
    trainer = {"Trainer": Trainer, "model": make_model(), "args": make_args(tmp_path, num_train_epochs=6)}

    exec(callbacks, trainer | {"new": make_data(), "old": make_data(24, seed=5)})

    assert (tmp_path / "hf_transfer_kit" / "ewc.safetensors").exists()


@pytest.mark.slow
def test_the_single_run_of_the_readme_runs(tmp_path):
    _, block = python_blocks()
    rows = [
        f"a {word} story number {i},{label}" for i in range(40) for word, label in (("good", "yes"), ("bad", "no"))
    ]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")

    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_the_example_of_the_advisor_needs_no_network_and_changes_its_mind(capsys):
    runpy.run_path(str(ROOT / "examples" / "advise.py"))
    shown = capsys.readouterr().out

    assert "accelerate launch --multi_gpu --num_processes 2" in shown
    assert "method: feature extraction -> gradual unfreezing" in shown
