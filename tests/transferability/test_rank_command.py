"""`transfer-kit rank` as a person calls it."""

import json

from typer.testing import CliRunner

from hf_transfer_kit.advisor.evidence import Evidence
from hf_transfer_kit.cli import app
from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.errors import PlanError, TransferKitError
from hf_transfer_kit.events import read_events
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.transferability.held_out import held_out_accuracy
from hf_transfer_kit.transferability.result import Ranking


def call(*arguments):
    return CliRunner().invoke(app, ["rank", *map(str, arguments)], env={"COLUMNS": "100"})


def test_the_table_the_advice_and_the_file(text_csv, tiny_bert, tmp_path):
    done = call("--data", text_csv, "--models", tiny_bert, "--out", tmp_path / "out", "--details")

    assert done.exit_code == 0, done.output
    for word in ("tiny-bert", "TF-IDF", "majority", "over random", "LogME", "no test label was read"):
        assert word in " ".join(done.output.split())
    assert Ranking.load(tmp_path / "out" / "ranking.json").candidates[0].model.name == str(tiny_bert)


def test_json_alone_is_on_the_output(text_csv, tiny_bert):
    done = call("--data", text_csv, "--models", tiny_bert, "--json", "--no-random-copies", "--against", text_csv)

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["format"] == "hf_transfer_kit.ranking"
    assert "proxy A-distance 0.00" in done.stderr


def test_a_failed_candidate_is_shown_and_the_exit_code_says_so(text_csv, tiny_bert, tmp_path):
    done = call("--data", text_csv, "--models", f"{tiny_bert},{tmp_path / 'nowhere'}")

    assert done.exit_code == 1
    assert "failed: model folder" in done.output
    assert "tiny-bert" in done.output


def test_no_models_is_said():
    done = call("--data", "x.csv", "--models", " , ")
    assert isinstance(done.exception, PlanError)


def test_the_folder_tells_how_far_it_is_and_what_the_ranking_means_with_validation_rows(text_csv, tiny_bert, tmp_path):
    options = ("--validation-share", "0.3", "--label-column", "label")
    done = call("--data", text_csv, "--models", tiny_bert, "--out", tmp_path, *options)
    assert done.exit_code == 0, done.output
    found, events = Evidence.load(tmp_path / "evidence.json"), list(read_events(tmp_path / "events.jsonl"))

    spec = DataSpec(path=str(text_csv), validation_share=0.3, label_column="label")
    layer = found.candidates[0].layer
    held_out = held_out_accuracy(load_data(spec), spec, ModelSpec(name=str(tiny_bert)), layer, max_rows=1000)
    assert found.held_out.accuracy == held_out.value
    assert (found.data, found.rows) == (str(text_csv), Ranking.load(tmp_path / "ranking.json").rows)
    assert [events[0].kind, events[-1].kind] == ["start", "finish"]
    stages = [event.message for event in events if event.kind == "stage"]
    assert stages == list(dict.fromkeys(stages)) and "tiny-bert (1 of 1)" in stages
    assert any(event.kind == "progress" and event.done == event.total > 0 for event in events)


def test_what_goes_wrong_is_the_last_event(tmp_path):
    done = call("--data", tmp_path / "nowhere.csv", "--models", "org/any", "--out", tmp_path / "out")

    assert isinstance(done.exception, TransferKitError)
    last = list(read_events(tmp_path / "out" / "events.jsonl"))[-1]
    assert (last.kind, last.message) == ("error", str(done.exception))
