"""`transfer-kit baseline` from outside: what a new user types, against a server on this machine and against models."""

import json
import os
import subprocess
import sys

import pytest
from conftest import GOOD
from prompting.remote.scripted_server import KEY, ScriptedServer, answering, completion
from tiny_language_models import byte_level, save_language_model

from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.plan import DataSpec, FewShot, ModelSpec, Prototype, ZeroShot
from hf_transfer_kit.prediction import predict
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.study.study import Study, carry_out


def asked_last(text):
    """The text that a prompt asks about, behind the examples."""
    return text.rpartition("Text: ")[2].partition("\n")[0]


def sense(text):
    return "pos" if set(asked_last(text).split()) & set(GOOD) else "neg"


@pytest.fixture
def baseline(text_csv, tmp_path):
    """Runs the command in a process of its own: (exit code, stdout, stderr)."""

    def call(*arguments, key=KEY):
        environment = {name: value for name, value in os.environ.items() if name != "TRANSFER_KIT_API_KEY"}
        environment |= {"HF_HUB_OFFLINE": "0", **({"TRANSFER_KIT_API_KEY": key} if key else {})}
        command = [sys.executable, "-m", "hf_transfer_kit.cli", "baseline", "--data", str(text_csv), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        return done.returncode, done.stdout, done.stderr

    return call


def test_a_remote_model_is_asked_within_its_limit_and_a_continued_command_pays_for_the_rest_alone(baseline, tmp_path):
    with ScriptedServer(answering(sense, usage=(100, 5))) as server:
        place = ["--model", "big/chat", "--url", server.url, "--shots", "0,2", "--price", "10,10", "--out", "out"]
        code, printed, errors = baseline(*place, "--max-dollars", "0.015")
        sent = len(server.requests)
        again = baseline(*place, "--max-dollars", "1")

    comparison = Comparison.load(tmp_path / "out" / "comparison.json")
    arms = {arm.name: arm for arm in comparison.arms}
    questions = 2 * len(RunRecord.load(tmp_path / "out/runs/chat/zero_shot/all/seed-0/record.json").test.labels)
    spent = json.loads((tmp_path / "out" / "spent.json").read_text())["dollars"]
    assert (code, again[0]) == (1, 0), errors + again[2]
    assert "--max-dollars 0.015" in printed
    assert sent <= 0.015 / 0.00105
    assert len(server.requests) == questions  # none was asked twice
    assert spent == pytest.approx(questions * 105 * 10 / 1e6)
    assert (arms["zero_shot"].accuracy, arms["zero_shot"].labels_used) == (1.0, 0)
    assert (arms["few_shot"].labels_used, arms["few_shot"].cost.thousand.dollars) == (2, pytest.approx(1.05))
    assert KEY not in "".join(path.read_text(errors="replace") for path in (tmp_path / "out").rglob("*.*"))


def test_without_a_key_nothing_is_sent(baseline, tmp_path):
    with ScriptedServer(answering(sense)) as server:
        code, _, errors = baseline("--model", "big/chat", "--url", server.url, "--out", "out", key=None)

    assert (code, len(server.requests)) == (2, 0)
    assert "TRANSFER_KIT_API_KEY" in errors and errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_answers_that_are_no_label_are_shown_apart(baseline, tmp_path):
    def choose(request):
        unsure = "happy" in asked_last(request.text)
        return completion("I cannot say") if unsure else answering(sense)(request)

    with ScriptedServer(choose) as server:
        code, printed, errors = baseline("--model", "big/chat", "--url", server.url, "--shots", "0", "--out", "out")

    (arm,) = (arm for arm in Comparison.load(tmp_path / "out" / "comparison.json").arms if arm.approach == "zero_shot")
    assert code == 0, errors
    assert arm.unreadable > 0
    assert "unreadable" in printed and "none of the labels" in printed


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    save_language_model(folder, byte_level())
    return folder


def test_a_language_model_goes_through_zero_and_few_shot_end_to_end_and_answers_again(
    text_csv, language_model, tmp_path
):
    prompt = tmp_path / "mine.yaml"
    prompt.write_text("template: '{{ input }} ='\nanswers: {neg: bad, pos: good}\n")
    study = Study(
        data=DataSpec(path=str(text_csv)), models=(ModelSpec(name=str(language_model)),),
        approaches=(ZeroShot(), FewShot(shots=2), FewShot(shots=1, prompt=str(prompt)), Prototype()), seeds=1,
    )  # fmt: skip

    comparison = carry_out(study, tmp_path / "out")

    assert not comparison.failures
    run = tmp_path / "out/runs/tiny-llama/few_shot-2/all/seed-0"
    record = RunRecord.load(run / "record.json")
    test = [text for text, _ in _rows(text_csv)][:3]
    assert record.details["path"] == "trie"
    assert record.cost.total_parameters > 0
    assert record.cost.thousand.flops_uncached > record.cost.thousand.flops > 0
    assert [each.label for each in predict(run, test)] == [each.label for each in predict(run, test[:1] + test[1:])]
    prompt.write_text("template: 'Other: {{ input }} ='\n")
    with pytest.raises(Exception, match=r"prompt file .*mine.yaml' has changed"):
        carry_out(study, tmp_path / "out")


def test_a_model_that_reads_no_words_leaves_zero_shot_out_and_says_so(image_folder, tiny_image_model, tmp_path):
    study = Study(
        data=DataSpec(path=str(image_folder)), models=(ModelSpec(name=str(tiny_image_model)),),
        approaches=(ZeroShot(), FewShot(shots=3), Prototype()), seeds=1,
    )  # fmt: skip

    comparison = carry_out(study, tmp_path / "out")

    assert not comparison.failures
    assert {arm.approach for arm in comparison.arms} == {"few_shot", "prototype", "majority", "shallow"}
    assert any("zero_shot is left out" in warning for warning in comparison.warnings)


def _rows(path):
    return [line.rpartition(",")[::2] for line in path.read_text().splitlines()[1:]]
