"""`transfer-kit advise` with a message or data: one answer."""

import json

import pytest
from advisor.llm.talking import tool_completion
from prompting.remote.scripted_server import ScriptedServer, completion, reachable
from typer.testing import CliRunner

import hf_transfer_kit
from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.cli import app
from hf_transfer_kit.errors import PlanError, RemoteError
from hf_transfer_kit.plan import TransferPlan

PUBLIC = {
    "facts", "method", "depth", "models", "hyperparameters", "protections", "baseline", "evaluation", "warnings",
    "reasons", "alternatives", "flips", "next_question", "plan",
}  # fmt: skip


def call(*arguments):
    return CliRunner().invoke(app, ["advise", *map(str, arguments), "--offline"], env={"COLUMNS": "100"})


def answered(*arguments):
    done = call(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_message_is_answered_in_json():
    advice = answered("80 labelled chest x-rays, no GPU")

    assert PUBLIC <= advice.keys()
    assert (
        advice["facts"] | {"n_labelled": 80, "modality": "image", "compute": "cpu", "language": None}
        == advice["facts"]
    )
    assert (advice["method"], advice["depth"]) == ("features", 1)
    assert all(each["rule"] and each["source"] and each["text"] for each in advice["reasons"])
    assert 2 <= len(advice["next_question"]["replies"]) <= 5
    assert Advice.from_mapping(advice).method == "features"


def test_nothing_said_is_a_question_and_no_guess():
    advice = answered()

    assert set(advice["facts"].values()) == {None}
    assert advice["next_question"]["text"]


@pytest.mark.parametrize(
    "message", ["", "what is the weather in Paris?", "écris-moi un poème", "<script>alert(1)</script>", "x" * 20_000]
)
def test_what_says_nothing_of_the_task_sets_no_fact_and_is_told(message):
    advice = answered(message)

    assert set(advice["facts"].values()) == {None}
    assert advice["notes"]


def test_what_contradicts_itself_is_asked_about():
    advice = answered("0 labels and 10 per class")

    assert (advice["facts"]["n_labelled"], advice["facts"]["per_class"]) == (None, None)
    assert "10" in advice["next_question"]["text"] and "0" in advice["next_question"]["text"]


def test_data_tell_their_facts_and_are_measured(text_csv, tiny_bert, tmp_path):
    advice = answered("no GPU", "--data", text_csv, "--models", tiny_bert, "--out", tmp_path / "out")

    assert (advice["facts"]["n_labelled"], advice["facts"]["n_classes"]) == (120, 2)
    assert advice["facts"]["compute"] == "cpu"
    assert advice["evidence"]["candidates"][0]["name"] == advice["models"][0]["hub_id"] == str(tiny_bert)
    assert TransferPlan.load(tmp_path / "out" / "plan.yaml") == TransferPlan.from_mapping(advice["plan"])
    assert {"job.py", "ranking.json", "advice.json"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_options_of_the_data_are_in_the_plan(tmp_path, tiny_bert):
    rows = "".join(f"text {number} is here,{number % 2},{number % 3}\n" for number in range(60))
    (tmp_path / "odd.csv").write_text("words,first,second\n" + rows)
    advice = answered(
        "--data", tmp_path / "odd.csv", "--input-column", "words", "--label-column", "second", "--test-share", "0.3",
        "--no-measure",
    )  # fmt: skip

    assert advice["facts"]["n_classes"] == 3
    assert advice["evidence"] is None
    data = advice["plan"]["data"]
    assert (data["input_column"], data["label_column"], data["test_share"]) == ("words", "second", 0.3)


def test_the_terminal_shows_all_of_it():
    done = call("5k tweets, 3 classes, one T4")
    shown = " ".join(done.output.split())

    for word in ("Understood: 5,000 labelled", "Models to start from", "Why", "[B2:", "What would change it", "a) "):
        assert word in shown
    assert done.exit_code == 0


def test_models_without_data_are_refused():
    assert isinstance(call("text", "--models", "me/mine").exception, PlanError)


def test_from_python_with_facts_a_mapping_or_words():
    words = hf_transfer_kit.advise("5k tweets, 3 classes, one T4")
    mapping = hf_transfer_kit.advise({"modality": "text", "n_labelled": 5000, "n_classes": 3, "compute": "gpu"})

    assert words.method == mapping.method == "top_layers"
    with pytest.raises(PlanError, match="did you mean 'modality'"):
        hf_transfer_kit.advise({"modalty": "text"})
    with pytest.raises(PlanError, match="did you mean 'image'"):
        hf_transfer_kit.advise({"modality": "imag"})


def test_a_language_model_words_the_answer_and_cannot_change_the_method(monkeypatch):
    reachable(monkeypatch)
    with ScriptedServer(
        lambda request: completion("Method: full. Train everything, it gives 99 % accuracy.")
    ) as server:
        advice = answered("80 labelled chest x-rays, no GPU", "--llm", server.url)

    assert server.requests
    assert advice["method"] == "features"
    notes = "\n".join(advice["notes"])
    assert "~~" in notes and "Struck out" in notes


def test_what_a_language_model_has_measured_counts(monkeypatch, text_csv):
    reachable(monkeypatch)
    minilm = "sentence-transformers/all-MiniLM-L6-v2"

    def answer(request):
        if any(each["role"] == "tool" and "accuracy" in str(each["content"]) for each in request.body["messages"]):
            return completion("The ranking is there.")
        return tool_completion(("rank", json.dumps({"models": [minilm]})))

    with ScriptedServer(answer) as server:
        advice = answered(f"is {minilm} any good?", "--data", text_csv, "--no-measure", "--llm", server.url)

    assert advice["evidence"]["candidates"][0]["name"] == minilm


def test_a_language_model_that_is_not_there_leaves_the_rules(monkeypatch):
    reachable(monkeypatch)
    advice = answered("80 labelled chest x-rays, no GPU", "--llm", "http://127.0.0.1:9/v1", "--llm-model", "any")

    assert advice["method"] == "features"
    assert any("language model" in each for each in advice["notes"])


def test_a_language_model_without_a_key_is_refused_before_anything(monkeypatch):
    monkeypatch.delenv("TRANSFER_KIT_API_KEY", raising=False)
    done = call("text", "--llm", "http://127.0.0.1:9/v1")

    assert isinstance(done.exception, RemoteError)
    assert "TRANSFER_KIT_API_KEY" in str(done.exception)
