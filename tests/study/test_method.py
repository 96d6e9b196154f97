import pytest

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import (
    DataSpec,
    EwcSettings,
    Features,
    FewShot,
    Full,
    Gradual,
    ModelSpec,
    Protection,
    Remote,
    TopLayers,
    ZeroShot,
)
from hf_transfer_kit.study.method import Method, method_named
from hf_transfer_kit.study.study import Study

USUAL = {"data": DataSpec(path="new.csv"), "models": (ModelSpec(name="org/a"),)}


def test_a_name_is_an_approach_and_its_protections_in_any_order():
    method = method_named("gradual+replay+ewc", "--approaches")

    assert isinstance(method.approach, Gradual)
    assert method.name == "gradual+ewc+replay"
    assert method_named("top_layers", "x", {"top_layers": TopLayers(blocks=3)}).approach.blocks == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fulll+ewc", "--approaches: unknown approach 'fulll'; did you mean 'full'?"),
        ("full+ewcc", "--approaches: unknown protection 'ewcc'; did you mean 'ewc'?"),
        ("full+ewc+ewc", "protection 'ewc' is named twice"),
        ("full+", "unknown protection ''"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest_one(name, message):
    with pytest.raises(PlanError, match=message.replace("?", r"\?").replace("+", r"\+")):
        method_named(name, "--approaches")


def test_every_plan_of_a_study_has_the_old_data_and_each_method_a_folder():
    methods = tuple(method_named(name, "x") for name in ("full", "full+ewc", "gradual+ewc+replay"))
    study = Study(**USUAL, approaches=(*methods, Features()), old_data=DataSpec(path="old.csv"), seeds=1)

    plans = study.plans()

    assert list(plans) == [
        "controls/majority/all/seed-0", "controls/shallow/all/seed-0", "a/full/all/seed-0", "a/full+ewc/all/seed-0",
        "a/gradual+ewc+replay/all/seed-0", "a/features/all/seed-0",
    ]  # fmt: skip
    assert {plan.old_data.path for plan in plans.values()} == {"old.csv"}
    assert [plan.method for name, plan in plans.items() if name.startswith("a/")] == [
        "full", "full+ewc", "gradual+ewc+replay", "features",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"approaches": (method_named("full+ewc", "x"),)}, r"add old_data \(--old-data\)"),
        ({"approaches": (method_named("features+ewc", "x"),), "old_data": DataSpec(path="o")}, "takes no protection"),
        ({"approaches": (Full(), Method(approach=Full(decay=0.9)))}, "approach 'full' is given twice"),
    ],
)
def test_a_protection_that_makes_no_sense_is_refused_before_anything_runs(settings, message):
    with pytest.raises(PlanError, match=message):
        Study(**(USUAL | settings))


def test_the_file_of_a_study_names_its_methods():
    ewc = Method(approach=Full(), protection=Protection(ewc=EwcSettings(strength=3.0)))
    text = Study(**USUAL, approaches=(Full(), ewc), old_data=DataSpec(path="old.csv")).to_yaml()

    assert text.count("name: full") == 2
    assert text.count("protection:") == 1
    assert "strength: 3.0" in text
    assert "path: old.csv" in text


def test_prompts_run_on_prompt_models_too_and_zero_shot_once_whatever_the_sizes():
    remote = ModelSpec(name="big/chat", remote=Remote(url="http://127.0.0.1:1/v1"))
    study = Study(
        **USUAL, approaches=(ZeroShot(), FewShot(shots=4), FewShot(shots=8), Full()), prompt_models=(remote,),
        seeds=2, train_sizes=(10, 20),
    )  # fmt: skip

    names = [name for name in study.plans() if not name.startswith("controls")]

    assert [name for name in names if "zero_shot" in name] == ["a/zero_shot/20/seed-0", "chat/zero_shot/20/seed-0"]
    assert [name for name in names if name.startswith("chat/few")] == [
        f"chat/few_shot-{shots}/{size}/seed-{seed}" for size in (10, 20) for shots in (4, 8) for seed in (0, 1)
    ]
    assert not [name for name in names if name.startswith("chat/full")]
    looking = Study(**USUAL, approaches=(ZeroShot(search=True),), seeds=1, train_sizes=(10, 20))
    assert len([name for name in looking.plans() if "zero_shot" in name]) == 2  # it chooses with the labels there are


def test_only_prompts_can_be_compared_on_a_model_that_answers_elsewhere():
    remote = ModelSpec(name="big/chat", remote=Remote(url="http://127.0.0.1:1/v1"))

    with pytest.raises(PlanError, match="no model is given for 'full'"):
        Study(data=USUAL["data"], models=(), prompt_models=(remote,), approaches=(ZeroShot(), Full()))
    with pytest.raises(PlanError, match="can only be a prompt model"):
        Study(data=USUAL["data"], models=(remote,), approaches=(ZeroShot(),))
    with pytest.raises(PlanError, match="'few_shot-4' is given twice"):
        Study(**USUAL, approaches=(FewShot(shots=4), FewShot(shots=4, choose="nearest")))
