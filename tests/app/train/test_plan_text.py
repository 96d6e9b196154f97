"""The text of a plan: checked, filled, rewritten by the form."""

import pytest

from hf_transfer_kit.app.data.chosen import DEMO, OLDER_DEMO, demo, on_the_hub
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train.plan_text import (
    checked,
    demo_text,
    filled,
    form_values,
    handed_over,
    on_demo_data,
    read,
    rewritten,
)
from hf_transfer_kit.app.train.starting import CPU, GPU, HUB, Place
from hf_transfer_kit.demo import older_data
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import DataSpec, Full, ModelSpec, TransferPlan
from hf_transfer_kit.plan.specs import YOUR_DATA

PLAN = TransferPlan(data=DataSpec(path=YOUR_DATA), model=ModelSpec(name="org/model-1"), approach=Full())
HERE, OPEN = Place(), Settings()
PUBLIC = Settings(shared=True, launching=False)


def test_the_plan_that_is_handed_over_has_the_chosen_data_and_runs():
    text = handed_over(PLAN.to_yaml(), demo())
    found = checked(text, demo(), HERE, OPEN)

    assert demo().spec.path not in text
    assert found.problem == ""
    assert (found.plan.data.path, found.data_name) == (demo().spec.path, DEMO)
    assert found.command.endswith("python -m hf_transfer_kit.run run/plan.yaml --out run")


def test_the_first_plan_runs_as_it_is_even_in_a_public_space():
    for settings in (OPEN, PUBLIC):
        found = checked(demo_text(), None, HERE, settings)
        assert (found.problem, found.plan.data.path) == ("", demo().spec.path)


def test_older_demo_data_can_be_protected_by_its_name():
    text = rewritten(demo_text(), with_values(protections=["ewc", "replay"], old=OLDER_DEMO))

    assert checked(text, None, HERE, PUBLIC).plan.old_data.path == str(older_data())


def test_open_data_is_asked_for():
    assert "No data is chosen" in checked(handed_over(PLAN.to_yaml(), None), None, HERE, OPEN).problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("name: full", "name: fulll"), "did you mean 'full'"),
        (("epochs: 10", "epochs: 0"), "epochs"),
        (("format:", "form:"), "format"),
        (("data:", "data: ["), "YAML"),
        (("YOUR_DATA", "/etc/passwd"), "Hub"),
        (("org/model-1", "/etc"), "Hub"),
    ],
)
def test_what_is_wrong_is_said_in_words(change, words):
    found = checked(handed_over(PLAN.to_yaml(), None).replace(*change).replace(YOUR_DATA, "org/d"), None, HERE, OPEN)

    assert found.plan is None
    assert words in found.problem
    assert found.command == ""


def test_several_processes_that_cannot_share_the_batch_are_refused():
    text = handed_over(PLAN.to_yaml(), demo())

    assert "cannot be shared" in checked(text, demo(), Place(processes=3), OPEN).problem
    assert "--nproc_per_node 2" in checked(text, demo(), Place(processes=2), OPEN).command
    assert "accelerate" in checked(text, demo(), Place(processes=2, where=GPU), OPEN).command


@pytest.mark.parametrize("text", [None, "", "   ", "x" * 30_000, "!!python/object:os.system x", "a: &a [*a]"])
def test_no_text_raises(text):
    assert checked(text, None, HERE, OPEN).problem
    assert form_values(text) is None
    assert on_demo_data(text) == demo_text()
    with pytest.raises(Exception, match="plan"):
        read(text)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (Place(processes=2), ("", "")),
        (Place(where=GPU), ("", "")),
        (Place(where=HUB, repo="org/r"), ("", "")),
        (HERE, ("epochs: 4", "epochs: 400")),
        (HERE, ("min_steps: 0", "min_steps: 100000")),
        (HERE, ("report_to: []", "report_to: [wandb]")),
        (HERE, (DEMO, "org/other")),
        (HERE, ("all-MiniLM-L6-v2", "all-mpnet-base-v2")),
        (HERE, ("old_data: null", "old_data: {path: org/old}")),
    ],
)
def test_a_public_space_starts_nothing_large(place, change):
    assert "public Space" in checked(demo_text().replace(*change), None, place, PUBLIC).problem


def test_data_chosen_later_is_filled_in_and_other_text_left_alone():
    assert filled(PLAN.to_yaml(), demo()) == handed_over(PLAN.to_yaml(), demo())
    assert read(filled(demo_text(), on_the_hub("org/mine"))).data.path == "org/mine"
    for text in (None, "", "YOUR_DATA [", "path: org/mine", demo_text().replace("epochs: 4", "epochs: 5")):
        assert filled(text, on_the_hub("org/mine")) == text


def with_values(**changes):
    names = (
        "approach",
        "model",
        "epochs",
        "batch",
        "protections",
        "old",
        "seed",
        "rate",
        "size",
        "pieces",
        "precision",
    )
    return list((dict(zip(names, form_values(demo_text()), strict=True)) | changes).values())


def test_the_form_of_a_plan_writes_the_same_plan():
    for text in (demo_text(), PLAN.to_yaml()):
        assert rewritten(text, form_values(text)) == text


def test_what_is_typed_into_the_form_is_in_the_text():
    plan = read(rewritten(demo_text(), with_values(epochs=7, rate="3e-4", size="48", approach="lora", seed=2)))

    assert (plan.training.epochs, plan.data.train_size, plan.seed) == (7, 48, 2)
    assert (plan.approach.name, plan.approach.learning_rate) == ("lora", 3e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": None}, "“Epochs” needs a whole number"),
        ({"size": "many"}, "“Training examples” is 'many'"),
        ({"size": "1.5"}, "whole number"),
        ({"rate": "nan"}, "too large"),
        ({"rate": "-1"}, "learning_rate"),
        ({"protections": ["ewc"]}, "choose some beside it"),
        ({"pieces": 3}, "divisor"),
    ],
)
def test_a_field_that_makes_no_plan_is_named(change, words):
    with pytest.raises(PlanError, match=words):
        rewritten(demo_text(), with_values(**change))


def test_the_place_is_no_part_of_the_plan():
    assert Place(where=CPU).command != Place(where=GPU).command
