import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hf_transfer_kit import app
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import MissingExtraError, OutputError

SPACE = Path(__file__).parents[2] / "spaces_app"


def test_without_gradio_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)

    with pytest.raises(MissingExtraError, match=r'pip install "hf-transfer-kit\[app\]"'):
        app.build(Settings())


def test_the_command_says_it_in_one_line_without_gradio():
    code = "import sys; sys.modules['gradio'] = None; sys.argv = ['transfer-kit', 'app']; " + (
        "from hf_transfer_kit.cli import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        'transfer-kit: the app needs gradio; install it: pip install "hf-transfer-kit[app]"'
    ]


def test_a_port_that_is_taken_and_a_folder_of_others_are_said_in_one_line(tmp_path):
    pytest.importorskip("gradio")
    from hf_transfer_kit.app.serving import start

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OutputError, match=r"port \d+ is taken; give another: --port"):
            start(Settings(runs=tmp_path), port=taken.getsockname()[1])
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be written .* --out"):
        start(Settings(runs=tmp_path / "file" / "runs"))


@pytest.mark.parametrize(("line", "duplicated"), [("", False), ("duplicated_from: org/name\n", True)])
def test_a_copy_of_the_space_is_known_by_its_card(tmp_path, line, duplicated):
    card = (SPACE / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(card.replace("---\n", f"---\n{line}", 1), encoding="utf-8")
    space = runpy.run_path(str(SPACE / "app.py"))

    assert space["is_duplicate"](tmp_path / "README.md") is duplicated


def test_only_advise_and_plan_are_public(tmp_path):
    pytest.importorskip("gradio")
    blocks = app.build(Settings(runs=tmp_path))
    public = {each.api_name for each in blocks.fns.values() if each.api_visibility != "private"}

    assert public == {"advise", "plan"}


def test_every_input_has_a_label(tmp_path):
    gr = pytest.importorskip("gradio")
    blocks = app.build(Settings(runs=tmp_path))
    inputs = (gr.Textbox, gr.Dropdown, gr.Number, gr.Code, gr.File, gr.Chatbot)
    found = [each for each in blocks.blocks.values() if isinstance(each, inputs)]

    assert len(found) > 10
    assert all(each.label and each.show_label is not False for each in found)


def test_it_is_launched_closed_to_the_world_and_with_small_uploads():
    pytest.importorskip("gradio")
    from hf_transfer_kit.app.serving import launch_options

    options = launch_options(Settings())

    assert options["max_file_size"] == "20mb"
    assert options["run_history"] is False
    assert not {"server_name", "allowed_paths", "auth", "share"} & set(options)


def test_the_endpoints_answer_with_the_public_formats():
    pytest.importorskip("gradio")
    from hf_transfer_kit.advisor.advice import Advice
    from hf_transfer_kit.app.page import advise, plan
    from hf_transfer_kit.plan import TransferPlan

    advice = Advice.from_mapping(advise("5k tweets, 3 classes, one T4"))

    assert TransferPlan.from_yaml(plan("5k tweets, 3 classes, one T4")).to_mapping() == advice.plan
