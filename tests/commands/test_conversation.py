"""Conversations in the terminal, with the lines of a person."""

import io
import json

import pytest
from rich.console import Console

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.at_hand.workbench import Workbench
from hf_transfer_kit.commands.conversation import Conversation
from hf_transfer_kit.plan import DataSpec, TransferPlan


def talked(out, *lines, data=None, models=(), **settings):
    """What is printed of a conversation in which a person says `lines`; an exception among them is raised instead."""
    left = list(lines)

    def read_line(prompt):
        if not left:
            raise EOFError
        line = left.pop(0)
        if isinstance(line, type):
            raise line
        return line

    printed = io.StringIO()
    bench = Workbench(data=None if data is None else DataSpec(path=str(data)), models=models, online=False)
    Conversation(bench, Console(file=printed, width=300), out, read_line=read_line, **settings).run()
    return printed.getvalue()


def plan_in(out):
    return TransferPlan.load(out / "plan.yaml")


def test_a_change_of_mind_half_way_changes_the_plan(tmp_path):
    shown = talked(tmp_path, "80 labelled texts to classify, one GPU", "actually 20k of them", *["I don't know"] * 7)

    assert "Understood: 80 labelled" in shown and "Understood: 20,000 labelled" in shown
    assert "Changed, labelled examples: 80 labelled -> 20,000 labelled." in shown
    assert "method: feature extraction -> full fine-tuning" in shown
    assert plan_in(tmp_path).approach.name == "full"
    assert "transfer-kit run" in shown and str(tmp_path / "plan.yaml") in shown


def test_a_letter_stands_for_its_quick_reply(tmp_path):
    shown = talked(tmp_path, "3000 English texts", "b)")
    question = shown[: shown.index("\n> ") if "\n> " in shown else len(shown)]

    assert "a) " in shown and question
    assert len(json.loads((tmp_path / "conversation.json").read_text())["turns"]) == 2
    assert json.loads((tmp_path / "conversation.json").read_text())["turns"][1]["message"] not in ("b)", "b")


def test_every_turn_shows_what_was_understood_and_a_letter_too_many_is_not_guessed_at(tmp_path):
    shown = talked(tmp_path, "3000 English texts", "z")

    assert shown.count("Understood: 3,000 labelled, text") == 2
    assert "That says nothing about the task" in shown


def test_the_same_folder_goes_on_where_the_conversation_stopped(tmp_path):
    talked(tmp_path, "80 labelled chest x-rays", KeyboardInterrupt)
    shown = talked(tmp_path, "no GPU", "quit")

    assert "Going on with the conversation" in shown
    assert "Understood: 80 labelled, images, x-ray, no GPU" in shown


def test_what_people_write_is_shown_as_it_is(tmp_path):
    shown = talked(tmp_path, "[bold red]pictures[/bold red] of [link=http://x]cats[/link] 50 labelled")

    assert "50 labelled, images" in shown


def test_data_are_read_measured_once_and_end_in_a_plan_that_runs(tmp_path, text_csv, tiny_bert):
    from hf_transfer_kit.run import run

    shown = talked(tmp_path, *["I don't know"] * 7, "why?", data=text_csv, models=(str(tiny_bert),))
    advice = Advice.from_mapping(json.loads((tmp_path / "advice.json").read_text()))

    assert "Understood: 120 labelled, 2 classes, text" in shown
    assert shown.count("Measuring on your data") == 1
    assert advice.evidence.candidates[0].name == str(tiny_bert) == advice.plan["model"]["name"]
    assert (tmp_path / "ranking.json").exists()
    record = run(plan_in(tmp_path), tmp_path / "run")
    assert len(record.test.predictions) == 24


def test_measure_names_other_models_and_a_stop_loses_nothing(tmp_path, text_csv, tiny_bert, monkeypatch):
    def interrupted(*args, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Workbench, "rank", interrupted)
        stopped = talked(tmp_path, "measure", data=text_csv, models=("me/mine",), measures=False)
    shown = talked(tmp_path, f"measure {tiny_bert}", data=text_csv, models=("me/mine",), measures=False)

    assert "Stopped" in stopped
    assert f"Measuring on your data, frozen: {tiny_bert}" in shown
    assert "Measured on" in shown


def test_models_that_are_not_here_leave_the_advice_of_the_rules(tmp_path, text_csv):
    shown = talked(tmp_path, *["I don't know"] * 7, data=text_csv, models=(str(tmp_path / "nowhere"),))

    assert "Nothing was measured" in shown and "nowhere" in shown
    assert "The advice rests on the rules alone." in shown
    assert plan_in(tmp_path).data.path == str(text_csv)


@pytest.mark.parametrize("end", ["quit", "Exit", "thanks", "bye"])
def test_the_person_ends_it(tmp_path, end):
    shown = talked(tmp_path, "80 labelled chest x-rays", end, "this is not read")

    assert "this is not read" not in (tmp_path / "conversation.json").read_text()
    assert shown


def test_where_the_input_ends_the_data_are_measured_and_the_plan_is_written(tmp_path, text_csv, tiny_bert):
    """As with `transfer-kit advise --data DATA < /dev/null`: nobody is there to answer the question."""
    shown = talked(tmp_path, data=text_csv, models=(str(tiny_bert),))

    assert "Measured on" in shown and "What to do now" in shown
    assert plan_in(tmp_path).model.name == str(tiny_bert)


def test_who_quits_waits_for_nothing(tmp_path, text_csv):
    shown = talked(tmp_path, "quit", data=text_csv, models=("me/mine",))

    assert "Measuring" not in shown
    assert (tmp_path / "conversation.json").exists()
