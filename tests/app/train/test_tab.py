import pytest

pytest.importorskip("gradio")

from hf_transfer_kit.app.data.chosen import demo
from hf_transfer_kit.app.train.tab import checked, filled, handed_over
from hf_transfer_kit.plan import DataSpec, Full, ModelSpec, TransferPlan
from hf_transfer_kit.plan.specs import YOUR_DATA

PLAN = TransferPlan(data=DataSpec(path=YOUR_DATA), model=ModelSpec(name="org/model-1"), approach=Full())


def test_the_plan_that_is_handed_over_has_the_chosen_data_and_runs():
    text = handed_over(PLAN.to_yaml(), demo())
    found = checked(text, demo())

    assert demo().spec.path not in text
    assert found.problem == ""
    assert found.plan.data.path == demo().spec.path
    assert found.command == "transfer-kit run plan.yaml --out runs/plan"


def test_open_data_is_asked_for():
    assert "YOUR_DATA" in checked(handed_over(PLAN.to_yaml(), None), None).problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("name: full", "name: fulll"), "did you mean 'full'"),
        (("epochs: 10", "epochs: 0"), "epochs"),
        (("format:", "form:"), "format"),
        (("data:", "data: ["), "YAML"),
        (("YOUR_DATA", "/etc/passwd"), "Hub"),
    ],
)
def test_what_is_wrong_is_said_in_words(change, words):
    found = checked(PLAN.to_yaml().replace(*change), None)

    assert found.plan is None
    assert words in found.problem
    assert found.command == ""


def test_several_processes_that_cannot_share_the_batch_are_refused():
    text = handed_over(PLAN.to_yaml(), demo())

    assert "cannot be shared" in checked(text, demo(), processes=3).problem
    assert "--num_processes 2" in checked(text, demo(), processes=2).launch


@pytest.mark.parametrize("text", [None, "", "   ", "x" * 30_000, "!!python/object:os.system x", "a: &a [*a]"])
def test_no_text_raises(text):
    assert checked(text, None).problem


def test_data_chosen_later_is_filled_in_and_other_text_left_alone():
    assert filled(PLAN.to_yaml(), demo()) == handed_over(PLAN.to_yaml(), demo())
    for text in (None, "", "YOUR_DATA [", "path: org/mine"):
        assert filled(text, demo()) == text
