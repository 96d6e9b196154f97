import pytest

from hf_transfer_kit.app.baseline.form import data_card
from hf_transfer_kit.app.data.chosen import (
    ChosenData,
    demo,
    for_the_page,
    for_the_run,
    look_at,
    on_the_hub,
    shown,
    uploaded,
)
from hf_transfer_kit.errors import DataError, PlanError, TransferKitError
from hf_transfer_kit.plan import DataSpec, Features, FewShot, ModelSpec, Remote, TransferPlan
from hf_transfer_kit.plan.specs import YOUR_DATA

SCRIPT = "<script>alert(1)</script>"


def csv(tmp_path, text):
    file = tmp_path / "mine.csv"
    file.write_text(text, encoding="utf-8")
    return uploaded(str(file))


def plan(data=YOUR_DATA, **more):
    settings = {"model": ModelSpec(name="org/model-1"), "approach": Features()} | more
    return TransferPlan(data=DataSpec(path=data), **settings)


def test_columns_are_guessed_and_checks_made(tmp_path):
    look = look_at(csv(tmp_path, "note,text,label\n" + "".join(f"n{i},hello {i},{i % 2}\n" for i in range(60))))

    assert (look.input_column, look.label_column, look.problem) == ("text", "label", "")
    assert len(look.rows) == 5
    assert look.checks.classes == 2


def test_columns_that_cannot_be_guessed_are_shown_to_be_chosen(tmp_path):
    chosen = csv(tmp_path, "a,b\n" + "".join(f"hello {i},bye {i}\n" for i in range(60)))
    look = look_at(chosen)

    assert look.columns == ("a", "b")
    assert "the label column" in look.problem
    assert "--" not in look.problem


def test_columns_can_be_corrected(tmp_path):
    chosen = csv(tmp_path, "one,two,label\n" + "".join(f"hi {i},{i % 3},{i % 2}\n" for i in range(60)))

    assert look_at(chosen.with_columns("one", "two")).checks.classes == 3


def test_a_script_in_a_text_is_shown_as_text(tmp_path):
    chosen = csv(tmp_path, "text,label\n" + "".join(f"{SCRIPT} {i},{SCRIPT}{i % 2}\n" for i in range(60)))
    page = data_card(chosen, look_at(chosen))

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("content", [b"\x00\x01", b"", b'"a,b\n'])
def test_a_broken_upload_is_refused_without_its_place(tmp_path, content):
    file = tmp_path / "mine.csv"
    file.write_bytes(content)

    with pytest.raises(DataError) as error:
        look_at(uploaded(str(file)))
    assert str(tmp_path) not in str(error.value)
    assert "mine.csv" in str(error.value)


@pytest.mark.parametrize(("name", "words"), [("images.zip", "archive"), ("x.exe", "no table"), ("passwd", "no table")])
def test_other_files_are_refused_with_the_reason(name, words):
    with pytest.raises(DataError, match=words):
        uploaded(f"/tmp/{name}")


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


def test_cells_are_short_text():
    assert len(shown("x" * 5000)) == 160
    assert shown({"bytes": b"x" * 2000, "path": None}) == "image (2 kB)"
    assert shown(None) == ""
