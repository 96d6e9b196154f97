"""`transfer-kit rank` as a person calls it."""

import json

from typer.testing import CliRunner

from hf_transfer_kit.cli import app
from hf_transfer_kit.errors import PlanError
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
