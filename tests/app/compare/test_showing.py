"""What the buttons of the tab give: comparisons, reports, refusals, cards and what would go to the Hub."""

import os
from pathlib import Path

import pytest
from synthetic_records import hits, make_old, make_record, make_thousand

from hf_transfer_kit.app.compare.answer_messages import Answer
from hf_transfer_kit.app.compare.showing import Comparing
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.launch.job import Job, new_id
from hf_transfer_kit.plan import Features, Full, Lora, Remote, ZeroShot

RIGHT = [1] * 12 + [0] * 8
SCRIPT = "<script>alert(1)</script>"


class Said:
    """Stands in for the process that answers; keeps what it was asked."""

    def __init__(self, **errors):
        self.asked, self.errors = [], errors

    def ask(self, runs, *, text="", image=""):
        self.asked.append((list(runs), text, image))
        for run in runs:
            yield Answer(id=1, run=str(run), probabilities={SCRIPT: 0.7, "b": 0.2, "c": 0.07, "d": 0.03},
                         error=self.errors.get(run.name, ""))  # fmt: skip

    def close(self):
        pass


def save(folder, name, record, model=b"", age=0):
    record.save(folder / name / "record.json")
    os.utime(folder / name / "record.json", (1_700_000_000 - age,) * 2)
    if model:
        (folder / name / "model").mkdir()
        (folder / name / "model" / "head.safetensors").write_bytes(model)


@pytest.fixture
def comparing(tmp_path):
    save(tmp_path, "one", make_record(hits(80, 100), Features(), thousand=make_thousand(1.0)), b"1", age=1)
    save(tmp_path, "two", make_record(hits(60, 100), Full(), thousand=make_thousand(2.0)), b"2", age=2)
    save(tmp_path, "other", make_record(hits(60, 100), Full(), test_hash="d" * 64), b"3", age=3)
    return Comparing(Settings(runs=tmp_path), Said())


def test_runs_of_one_split_are_compared_with_tables_pictures_and_a_report(comparing):
    found = comparing.compared("", ["one", "two"])

    assert "features" in found.page and "Quality" in found.page
    assert found.page.count("<svg") == 2  # against training, against predictions
    assert Path(found.report).name == "comparison-reviews.html"
    assert "<html" in Path(found.report).read_text(encoding="utf-8")


def test_the_same_report_is_kept_once(comparing):
    assert comparing.compared("", ["one", "two"]).report == comparing.compared("", ["one", "two"]).report


def test_old_against_new_skill_is_drawn_where_there_are_old_data(comparing):
    old = make_old([1] * 10, [1] * 5 + [0] * 5)
    for name, approach in (("full", Full()), ("lora", Lora())):
        save(comparing.settings.runs, f"with-old/{name}", make_record(hits(60, 100), approach, old=old))
    page = comparing.compared("", ["with-old/full", "with-old/lora"]).page

    assert "New skill against old skill" in page


def test_learning_curves_are_drawn_over_several_sizes(comparing):
    for size in (20, 50):
        save(comparing.settings.runs, f"small/{size}", make_record(hits(50, 100), Features(), train_size=size))

    assert "Learning curves" in comparing.compared("", ["one", "small/20", "small/50"]).page
    assert "Learning curves" not in comparing.compared("", ["one", "two"]).page


def test_each_run_shows_the_hash_of_what_answers(comparing):
    page = comparing.compared("", ["one", "two"]).page
    weights = {comparing._one("", run).weights for run in ("one", "two")}

    assert len(weights) == 2 and all(each in page for each in weights)
    assert "same weights" not in page


def test_a_model_that_is_compared_with_itself_is_said_so(comparing):
    save(comparing.settings.runs, "copy", make_record(hits(80, 100), Lora()), b"1")

    assert "features, lora answer with the same weights" in comparing.compared("", ["one", "copy"]).page


def test_runs_of_different_splits_are_refused_with_the_reason(comparing):
    found = comparing.compared("", ["one", "two", "other"])

    assert found.report is None
    assert "2 different splits" in found.page and "the content of test (100 and 100 rows)" in found.page
    assert "dddddddddddd" in found.page and "cccccccccccc" in found.page


@pytest.mark.parametrize(
    ("ids", "words"), [([], "two runs or more"), (["one"], "two runs or more"), (["../one", "two"], "no finished run")]
)
def test_what_cannot_be_compared_is_a_sentence(comparing, ids, words):
    found = comparing.compared("", ids)

    assert words in found.page and found.report is None


def test_two_records_of_one_run_are_refused(comparing):
    save(comparing.settings.runs, "again", make_record(hits(80, 100), Features()))

    assert "two records are of the same run" in comparing.compared("", ["one", "again"]).page


def test_an_empty_list_says_what_to_do(tmp_path):
    assert "Baseline" in Comparing(Settings(runs=tmp_path / "none"), Said()).listed("").note


def test_all_on_the_newest_data_leaves_out_other_splits(comparing):
    assert comparing.newest("").chosen == ["one", "two"]
    assert [run for _, run in comparing.newest("").choices] == ["one", "two", "other"]


def test_chosen_runs_that_are_gone_leave_the_choice(comparing):
    assert comparing.listed("", ["two", "gone"]).chosen == ["two"]


def test_a_job_is_compared_with_what_there_is_on_its_split(comparing):
    number = new_id()
    save(comparing.settings.runs, f"jobs/{number}", make_record(hits(70, 100), Lora()))

    assert comparing.of_job("", number).chosen == [f"jobs/{number}", "one", "two"]
    assert "no finished run" in comparing.of_job("", new_id()).note


def test_before_a_visitor_is_known_the_list_is_empty(comparing):
    strangers = Comparing(Settings(runs=comparing.settings.runs, shared=True), Said())

    assert strangers.listed("").choices == []
    assert "reload" in strangers.compared("", ["one", "two"]).page


def test_every_chosen_run_answers_with_bars_its_hash_and_no_mark_up(comparing):
    first, *_, last = comparing.ask("", ["one", "two"], "/etc/passwd", None)

    assert first.count("thinking") == 2
    assert last.count('<div class="tk-answer">') == 2 and "thinking" not in last
    assert last.count('<div class="tk-share">') == 6  # the three likeliest of each
    assert "<script>" not in last and "&lt;script&gt;" in last and "width:70.0%" in last
    assert comparing._one("", "one").weights in last
    (asked,) = comparing.process.asked
    assert asked[1:] == ("/etc/passwd", "") and [run.name for run in asked[0]] == ["one", "two"]


def test_an_error_of_one_run_stands_in_its_box_without_its_folder(comparing):
    comparing.process.errors["two"] = f"'{comparing.settings.runs / 'two'}' is damaged"
    *_, last = comparing.ask("", ["one", "two"], "hello", None)

    assert "its folder" in last and str(comparing.settings.runs) not in last
    assert last.count('<div class="tk-share">') == 3


@pytest.mark.parametrize(
    ("ids", "text", "words"),
    [([], "hello", "Choose runs"), (["one"], "  ", "Type a text"), (["one"], "x" * 5000, "5,000 letters"),
     (["../one"], "hello", "no finished run"), (["one", "image"], "hello", "one task"), (["image"], "", "an image")],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_sentence(comparing, ids, text, words):
    save(comparing.settings.runs, "image", make_record(RIGHT, task="image-classification"))
    (page,) = comparing.ask("", ids, text, None)

    assert words in page and comparing.process.asked == []


def test_the_box_takes_an_image_where_the_runs_do(comparing):
    save(comparing.settings.runs, "image", make_record(RIGHT, task="image-classification"))
    list(comparing.ask("", ["image"], "left from before", "/tmp/uploaded.png"))

    assert comparing.asks_for_image("", ["image"]) and not comparing.asks_for_image("", ["one"])
    assert comparing.process.asked[0][1:] == ("", "/tmp/uploaded.png")


def test_strangers_do_not_ask_models_that_cost_money(tmp_path):
    owner, number = "a" * 32, new_id()
    record = make_record(RIGHT, ZeroShot(), remote=Remote(url="http://127.0.0.1:1/v1"))
    save(tmp_path, f"jobs/{number}", record)
    Job(id=number, number=1, command=("true",), directory="/", owner=owner).save(tmp_path / "jobs" / number)
    shared = Comparing(Settings(runs=tmp_path, shared=True), Said())
    *_, last = shared.ask(owner, [f"jobs/{number}"], "hello", None)
    own = Comparing(Settings(runs=tmp_path), Said())
    list(own.ask("", [f"jobs/{number}"], "hello", None))

    assert "costs somebody money" in last and shared.process.asked == []
    assert len(own.process.asked) == 1


def test_no_more_runs_answer_than_stay_in_memory(comparing):
    for number in range(12):
        save(comparing.settings.runs, f"many/{number}", make_record(RIGHT, Features(), train_size=10 + number))
    *_, last = comparing.ask("", [f"many/{number}" for number in range(12)], "hello", None)

    assert len(comparing.process.asked[0][0]) == 8
    assert "first 8 of the 12" in last


def test_the_model_card_is_shown_without_its_yaml_and_downloaded_with_it(comparing):
    text, file = comparing.model_card("", "one")

    assert text.lstrip().startswith("# features on mini")
    assert Path(file).name == "README.md" and Path(file).read_text().startswith("---\n")
    with pytest.raises(FormatError, match="choose a run"):
        comparing.model_card("", "")


def test_what_would_go_is_shown_and_only_that_is_sent(comparing):
    page, shown = comparing.preview("", "one", " ann/mine ", True)
    assert "ann/mine" in page and "head.safetensors" in page and "Nothing has been sent" in page
    assert (shown.run, shown.repo, shown.private) == ("one", "ann/mine", True)

    (comparing.settings.runs / "one" / "model" / "head.safetensors").write_bytes(b"other")
    assert "has changed" in list(comparing.send("", shown))[-1]
    assert "Look first" in list(comparing.send("", None))[-1]
    assert comparing.preview("", "one", "mine", True)[1] is None
    assert not (comparing.settings.runs / "jobs").exists()


def test_without_a_token_nothing_is_started(comparing, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    _, shown = comparing.preview("", "one", "ann/mine", True)

    assert "hf auth login" in list(comparing.send("", shown))[-1]
    assert not (comparing.settings.runs / "jobs").exists()


def test_a_shared_app_sends_nothing(comparing, monkeypatch):
    _, shown = comparing.preview("", "one", "ann/mine", True)
    owner, number = "a" * 32, new_id()
    runs = comparing.settings.runs
    save(runs, f"jobs/{number}", make_record(RIGHT), b"1")
    Job(id=number, number=1, command=("true",), directory="/", owner=owner).save(runs / "jobs" / number)
    shared = Comparing(Settings(runs=runs, shared=True), Said())
    _, shown = shared.preview(owner, f"jobs/{number}", "ann/mine", True)

    assert "not yours" in list(shared.send(owner, shown))[-1]
