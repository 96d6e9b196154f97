"""The conversation behind the page."""

from dataclasses import replace

import pytest

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.app.advisor.advice_card import advice_card, reasons_card
from hf_transfer_kit.app.advisor.advising import EXAMPLES, MEASURE, TRY_DEMO, is_new_start, shown, told, with_chips
from hf_transfer_kit.app.advisor.visit import MOST_TURNS, Visit, restored
from hf_transfer_kit.plan import TransferPlan

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def visit():
    return told(Visit(), "80 labelled chest x-rays, no GPU")


def facts(visit):
    return visit.consultation.state.facts


def replies(visit):
    return [each["value"] for each in shown(visit).messages[-1].get("options", ())]


def to_the_end(visit):
    while (question := visit.consultation.state.question) is not None:
        visit = told(visit, question.replies[0])
    return visit


def test_a_folder_beside_the_server_is_not_taken_for_a_hub_name(visit, tmp_path, monkeypatch):
    (tmp_path / "runs" / "one-2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert facts(told(visit, "start from runs/one-2")).base_model is None
    assert facts(told(visit, "start from org/one-2")).base_model == "org/one-2"


def test_a_chip_that_is_taken_away_is_forgotten(visit):
    chips = [chip for chip in shown(visit).chips if chip != "no GPU"]
    after = with_chips(visit, chips)

    assert facts(after) == replace(facts(visit), compute=None)
    assert "Forgotten: no GPU." in shown(after).messages[-1]["content"]


def test_a_chip_that_is_written_is_read_like_a_message(visit):
    after = with_chips(visit, [*shown(visit).chips, "200 labelled"])

    assert after.consultation.state == told(visit, "200 labelled").consultation.state


def test_chips_left_as_they_are_change_nothing(visit):
    assert with_chips(visit, shown(visit).chips) == visit


def test_chips_show_which_facts_the_data_told(visit):
    visit = replace(visit, data="mine.csv", of_data=TaskFacts(n_labelled=80, modality="image", domain="wildlife"))

    assert set(shown(visit).chips) == {"80 labelled (data)", "images (data)", "x-ray", "no GPU"}
    assert facts(with_chips(visit, ["images (data)", "x-ray", "no GPU"])).n_labelled is None


def test_quick_replies_stand_on_the_last_message_alone(visit):
    messages = shown(visit).messages

    assert [message for message in messages if "options" in message] == [messages[-1]]
    assert replies(visit) == list(visit.consultation.state.question.replies)


def test_a_visit_begins_with_the_demo_data_and_with_examples_that_lead_to_advice():
    assert replies(Visit()) == [TRY_DEMO, *EXAMPLES]
    for each in EXAMPLES:
        assert shown(told(Visit(), each)).advice is not None


def test_an_answer_by_quick_reply_goes_on_to_a_plan_and_then_to_what_may_be_asked_about_it(visit):
    visit = to_the_end(visit)
    plan = TransferPlan.from_yaml(shown(visit).plan)

    assert plan.to_mapping() == shown(visit).advice.plan
    assert not shown(visit).no_plan
    assert "Why not full fine-tuning?" in replies(visit)
    assert MEASURE not in replies(visit)


def test_with_data_at_hand_measuring_is_offered_until_it_was_started(visit):
    visit = replace(to_the_end(visit), data="mine.csv")

    assert replies(visit)[0] == MEASURE
    assert MEASURE not in replies(replace(visit, job="0" * 32))


@pytest.mark.parametrize(("message", "words"), [("hello", "as soon as"), ("forecast sales, 500 rows", "no plan")])
def test_where_there_is_no_plan_it_is_said_why(message, words):
    view = shown(told(Visit(), message))

    assert not view.plan
    assert words in view.no_plan


def test_start_again_alone_is_a_new_start():
    assert [is_new_start(each) for each in ("Start again!", "undo", "start again with 80 images")] == [
        True, False, False,
    ]  # fmt: skip


def test_a_long_talk_keeps_its_facts_and_drops_its_first_lines(visit):
    for number in range(MOST_TURNS + 3):
        visit = told(visit, f"{number + 1} labelled")

    assert len(visit.consultation.turns) == MOST_TURNS
    assert facts(visit).domain == "x-ray"
    assert restored(visit.to_mapping()) == visit


def test_a_script_is_shown_as_text_in_the_cards():
    advice = Advice(facts=TaskFacts(), method=SCRIPT, depth=1, baseline=SCRIPT, protections=(SCRIPT,))

    for shown_as in (advice_card(advice), reasons_card(advice)):
        assert SCRIPT not in shown_as
        assert "&lt;script&gt;" in shown_as.lower()


def test_of_a_long_message_only_the_beginning_is_read():
    assert facts(told(Visit(), "80 labelled " + "x" * 5000 + " no GPU")).compute is None
