import re
import shutil
import subprocess
import sys

import pytest
from finished_study import finished_study
from synthetic_records import hits, make_old, make_record

from hf_transfer_kit import cli
from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.result import Failure
from hf_transfer_kit.plan import DataSpec, Features, Full, Majority


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Runs a command line in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["transfer-kit", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, errors = capsys.readouterr()
        return end.value.code, out, errors

    return call


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def refused(result, out=None):
    """The one line with which a command was refused; nothing else was printed, nothing was left behind."""
    code, printed, errors = result
    assert code == 2
    assert printed == ""
    assert errors.startswith("transfer-kit: ")
    assert errors.count("\n") == 1
    assert out is None or not out.exists()
    return errors.removeprefix("transfer-kit: ").rstrip("\n")


def write(path, rows):
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


GOOD_ROWS = [(f"text number {i}", ("a", "b")[i % 2]) for i in range(40)]


# --- data -----------------------------------------------------------------------------------------------------------


def test_a_missing_file_gets_the_nearest_name(terminal, text_csv, tiny_bert, out):
    misspelt = text_csv.with_name("reviws.csv")
    line = refused(terminal("compare", "--data", misspelt, "--model", tiny_bert, "--out", out), out)

    assert line.endswith("reviws.csv' does not exist; did you mean 'reviews.csv'?")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; write a header"),
        (b"text,label\n", "has no rows; add examples"),
        (b"text,label\n" + b"x,a\n" * 40, "all rows have the label 'a'"),
        (b"text,label\n" + b"x,a\ny,b\n" * 20 + b"z,c\n", "class 'c' has 1 example"),
        (b"text,label\n,a\nNaN,b\n  ,a\n" + b"x,a\ny,b\n" * 20, "3 of 43 texts cannot be used: row 1 is empty"),
        (b"text,label\nsch\xf6n,a\n" + b"x,a\ny,b\n" * 20, "is not UTF-8: byte 14 (0xf6) in line 2"),
    ],
    ids=["empty", "header only", "one class", "one example", "empty texts", "not UTF-8"],
)
def test_a_file_that_cannot_be_learned_from_is_refused(terminal, tiny_bert, tmp_path, out, content, message):
    (tmp_path / "data.csv").write_bytes(content)
    line = refused(terminal("compare", "--data", tmp_path / "data.csv", "--model", tiny_bert, "--out", out), out)

    assert message in line
    assert "data.csv" in line


def test_labels_that_training_does_not_know_are_named(terminal, tiny_bert, tmp_path, out):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.csv", GOOD_ROWS)
    write(tmp_path / "data" / "test.csv", [("one", "a"), ("two", "strange")])

    line = refused(terminal("compare", "--data", tmp_path / "data", "--model", tiny_bert, "--out", out), out)

    assert line.startswith("test.csv has labels that train.csv has not: 'strange' (1)")


def test_a_broken_image_is_named(terminal, tiny_image_model, image_folder, tmp_path, out):
    folder = shutil.copytree(image_folder, tmp_path / "pictures")
    (folder / "red" / "torn.png").write_bytes(b"no picture")
    line = refused(terminal("compare", "--data", folder, "--model", tiny_image_model, "--out", out), out)

    assert "red/torn.png" in line


def test_data_on_a_hub_that_cannot_be_reached_is_refused(terminal, tiny_bert, out):
    line = refused(terminal("compare", "--data", "org/nothing", "--model", tiny_bert, "--out", out), out)

    assert "org/nothing" in line


# --- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label-column", "lable"], r"has no column 'lable' \(--label-column\); did you mean 'label'"),
        (["--approaches", "featurs"], "unknown approach 'featurs'; did you mean 'features'"),
        (["--approaches", ","], "--approaches names none"),
        (["--approaches", "full,full"], "approach 'full' is given twice"),
        (["--train-sizes", "10,many"], "--train-sizes: 'many' is no number"),
        (["--train-sizes", "0"], "train size 0 must be >= 1"),
        (["--train-sizes", "1"], "train_size=1 is less than one example for each of the 2 classes"),
        (["--train-sizes", "100000"], r"train_size=100000 is more than the \d+ training rows"),
        (["--seeds", "0"], "seeds=0 must be >= 1"),
        (["--task", "text-clasification"], "did you mean 'text-classification'"),
        (["--task", "image-classification"], "image"),
        (["--precision", "fp8"], "precision='fp8'"),
        (["--test-share", "1.5"], "test_share=1.5"),
        (["--batch-size", "10", "--accumulation", "3"], "choose a divisor"),
        (["--report-to", "wandbb"], "unknown experiment tracker 'wandbb'; did you mean 'wandb'"),
        (["--model", "other", "--model-revision", "v1"], "--model-revision v1 belongs to one model"),
        (["--approaches", "full+ewc"], r"'full\+ewc' protects old data, but none is given; add old_data \(--old-data"),
        (["--approaches", "full+reply", "--old-data", "x.csv"], "unknown protection 'reply'; did you mean 'replay'"),
        (["--approaches", "features+l2sp"], "approach 'features' takes no protection"),
        (["--old-data", "nowhere.csv"], "nowhere.csv' does not exist"),
        (["--old-input-column", "x"], "--old-input-column x belongs to --old-data"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_refused_in_one_line(terminal, text_csv, tiny_bert, out, options, message):
    line = refused(terminal("compare", "--data", text_csv, "--model", tiny_bert, "--out", out, *options), out)

    assert re.search(message, line)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare"], "Missing option '--data'"),
        (["comapre"], "Did you mean 'compare'"),
        (["compare", "--seeds", "many"], "Invalid value for '--seeds'"),
        (["check", "--dta", "x"], "No such option: --dta"),
        (["predict"], "Missing argument"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(terminal, arguments, message):
    code, printed, errors = terminal(*arguments)

    assert code == 2
    assert message in errors
    assert printed == ""


# --- models ---------------------------------------------------------------------------------------------------------


def test_a_model_that_is_nowhere_is_refused(terminal, text_csv, tmp_path, out):
    for name in ("org/nothing", tmp_path / "no-model"):
        line = refused(terminal("compare", "--data", text_csv, "--model", name, "--out", out), out)
        assert f"'{name}'" in line


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", None, "has no tokenizer"),
        ("model.safetensors", None, "has no safetensors weights"),
        ("model.safetensors", b"torn", "are broken"),
        ("config.json", None, "has no config.json"),
    ],
    ids=["no tokenizer", "no weights", "broken weights", "no configuration"],
)
def test_an_incomplete_checkpoint_is_refused(terminal, text_csv, tiny_bert, tmp_path, out, name, content, message):
    model = shutil.copytree(tiny_bert, tmp_path / "incomplete")
    (model / name).unlink()
    if content:
        (model / name).write_bytes(content)
    line = refused(terminal("compare", "--data", text_csv, "--model", model, "--out", out), out)

    assert message in line
    assert "incomplete" in line


def test_a_model_of_the_wrong_kind_is_refused(terminal, text_csv, image_folder, tiny_bert, tiny_image_model, out):
    for data, model in ((text_csv, tiny_image_model), (image_folder, tiny_bert)):
        line = refused(terminal("compare", "--data", data, "--model", model, "--out", out), out)
        assert str(model) in line


# --- output folder, plans, runs -------------------------------------------------------------------------------------


def test_a_folder_with_other_files_is_refused_and_left_alone(terminal, text_csv, tiny_bert, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    line = refused(terminal("compare", "--data", text_csv, "--model", tiny_bert, "--out", tmp_path))

    assert "is not empty and holds no comparison" in line
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["notes.txt"]


def test_a_comparison_of_other_data_is_refused(terminal, text_csv, tiny_bert):
    finished = finished_study(text_csv, tiny_bert)
    line = refused(terminal("compare", "--data", "x.csv", "--model", tiny_bert, "--out", finished))

    assert "holds another comparison: its data.path is" in line


def test_a_missing_plan_or_run_is_refused(terminal, tmp_path):
    assert "plan.yaml" in refused(terminal("run", tmp_path / "plan.yaml"))
    assert "does not exist" in refused(terminal("predict", tmp_path / "nowhere", "a text"))


def test_an_error_of_the_system_is_one_line_too(terminal, monkeypatch, text_csv):
    def full(*arguments, **settings):
        raise OSError(28, "No space left on device", "somewhere/file")

    monkeypatch.setattr("hf_transfer_kit.study.study.carry_out", full)
    line = refused(terminal("demo"))

    assert line == "somewhere/file: No space left on device"


def test_debug_shows_the_traceback_as_well(terminal, tiny_bert, out):
    code, _, errors = terminal("compare", "--data", "nowhere.csv", "--model", tiny_bert, "--out", out, "--debug")

    assert code == 2
    assert errors.startswith("Traceback")
    assert "nowhere.csv' does not exist" in errors.splitlines()[-1]


# --- what is printed ------------------------------------------------------------------------------------------------


def test_every_command_explains_itself(terminal):
    for command in ([], ["compare"], ["demo"], ["check"], ["predict"], ["run"], ["version"]):
        code, printed, _ = terminal(*command, "--help")
        assert code == 0
        assert not re.search(r"\w\.\.\.$", printed, re.MULTILINE)  # no sentence is cut


def test_failed_runs_are_said_at_the_end_and_make_the_exit_code_1(terminal, monkeypatch, out, text_csv, tiny_bert):
    records = [make_record(hits(40, 60), Features()), make_record(hits(20, 60), Majority())]
    comparison = compare(records, failures=[Failure(run="m/full/all/seed-0", message="no memory")])
    monkeypatch.setattr("hf_transfer_kit.study.study.carry_out", lambda *arguments: comparison)

    code, printed, errors = terminal("compare", "--data", text_csv, "--model", tiny_bert, "--out", out)

    assert code == 1
    assert "m/full/all/seed-0: no memory" in printed
    assert f"1 run failed, see {out}/runs/m/full/all/seed-0/log.txt" in errors


def test_the_options_on_old_data_reach_the_study(terminal, monkeypatch, out, text_csv, tiny_bert):
    studies = []

    def remember(study, *arguments):
        studies.append(study)
        old = make_old(hits(50, 60), hits(20, 60))
        return compare([make_record(hits(40, 60), Full(), old=old), make_record(hits(20, 60), Majority())])

    monkeypatch.setattr("hf_transfer_kit.study.study.carry_out", remember)
    options = ("--old-data", "old.csv", "--old-label-column", "topic", "--replay-ratio", "0.3", "--max-length", "64")

    code, printed, _ = terminal("compare", "--data", text_csv, "--model", tiny_bert, "--out", out, *options)

    (study,) = studies
    assert code == 0
    assert study.old_data == DataSpec(path="old.csv", label_column="topic", max_length=64)
    names = ["full", "full+ewc", "full+replay", "gradual", "lora+replay"]
    assert [method.name for method in study.methods] == names
    assert study.methods[2].protection.replay.ratio == 0.3
    assert "Old task" in printed
    assert "forgets 50.0 points of the old task" in " ".join(printed.replace("│", " ").split())


def test_a_comparison_and_its_answers_in_the_terminal(terminal, text_csv, tiny_bert, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ("--model", tiny_bert, "--approaches", "features", "--out", tmp_path / "out")
    code, printed, errors = terminal("compare", "--data", text_csv, *arguments)

    assert (code, errors) == (0, "")
    assert "finished  tiny-bert/features/all/seed-0 in" in printed
    assert "Verdict" in printed
    assert f"Report: {tmp_path}/out/report.html" in printed
    assert_plain(printed)

    code, printed, errors = terminal("predict", tmp_path / "out", "a lovely film", "--json")
    assert (code, printed.count("\n")) == (0, 1)
    assert '"shown": "a lovely film"' in printed
    assert errors.startswith("answered by ")


def test_check_prints_plain_words_and_exits_with_0(terminal, tmp_path):
    rows = [*GOOD_ROWS, ("text number 0", "b"), ("twice", "a"), ("twice", "a")]
    code, printed, errors = terminal("check", "--data", write(tmp_path / "data.csv", rows))

    assert (code, errors) == (0, "")
    assert "has more than one label" in printed
    assert_plain(printed)


def assert_plain(printed):
    """Nobody watches: no colours, no bars, no cursor movements."""
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", printed)


def test_the_console_command_itself_refuses_in_one_line(tmp_path):
    command = [sys.executable, "-m", "hf_transfer_kit.cli", "check", "--data", "nowhere.csv"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("transfer-kit: 'nowhere.csv' does not exist; ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
