import pytest

from hf_transfer_kit.app.data.chosen import ChosenData, demo, for_the_page, for_the_run, named_in, on_the_hub
from hf_transfer_kit.errors import DataError, PlanError, TransferKitError
from hf_transfer_kit.plan import DataSpec, Features, FewShot, ModelSpec, Remote, TransferPlan
from hf_transfer_kit.plan.specs import YOUR_DATA


def plan(data=YOUR_DATA, **more):
    settings = {"model": ModelSpec(name="org/model-1"), "approach": Features()} | more
    return TransferPlan(data=DataSpec(path=data), **settings)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "~/x", "a/b/c", "", "a\nb", "http://x/y", "C:\\x"])
def test_only_names_of_the_hub_are_read(name):
    with pytest.raises(DataError, match="Hub"):
        on_the_hub(name)


def test_a_folder_beside_the_server_is_no_hub_name(tmp_path, monkeypatch):
    (tmp_path / "org" / "secret").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DataError, match="Hub"):
        on_the_hub("org/secret")


def test_the_page_sees_a_name_and_the_run_a_place():
    shown_plan = for_the_page(plan(), demo())

    assert shown_plan.data.path == demo().name
    assert for_the_run(shown_plan, demo()).data.path == demo().spec.path


@pytest.mark.parametrize(
    "wrong",
    [
        plan(),
        plan("/etc/passwd"),
        plan("org/data-1", model=ModelSpec(name="/etc")),
        plan("org/data-1", model=ModelSpec(name="org/x", remote=Remote(url="http://127.0.0.1:1")), approach=FewShot()),
        plan("org/data-1", approach=FewShot(prompt="/etc/passwd")),
        plan("org/data-1", old_data=DataSpec(path="/etc")),
    ],
)
def test_a_plan_from_the_page_reaches_nothing_on_this_machine(wrong):
    with pytest.raises((DataError, PlanError)):
        for_the_run(wrong, None)


def test_errors_show_the_name_and_not_the_place():
    chosen = ChosenData(name="mine.csv", spec=DataSpec(path="/tmp/gradio/abc/mine.csv"))

    assert chosen.said(TransferKitError("'/tmp/gradio/abc/mine.csv' is odd")) == "'mine.csv' is odd"


def test_the_data_of_a_record_has_the_name_that_people_know():
    assert named_in(demo().spec) == demo()
    assert named_in(DataSpec(path="/runs/uploads/mine/00ff/mine.csv")).name == "mine.csv"
    assert named_in(DataSpec(path="org/name")).name == "org/name"
