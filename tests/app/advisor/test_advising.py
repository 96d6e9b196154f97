from dataclasses import replace

import pytest

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.conversation.consultation import Consultation
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.app.advisor.advice_card import advice_card
from hf_transfer_kit.app.advisor.advising import MOST_TURNS, restored, shown, told, with_chips
from hf_transfer_kit.plan import TransferPlan

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def consultation():
    return told(Consultation(), "80 labelled chest x-rays, no GPU")


def with_facts(consultation, **facts):
    state = replace(consultation.state, facts=replace(consultation.state.facts, **facts))
    return replace(consultation, state=state)


def test_a_conversation_comes_back_from_the_browser(consultation):
    assert restored(consultation.to_mapping()) == consultation


@pytest.mark.parametrize("kept", [None, {}, [], "text", {"format": "other"}, {"state": {}}, 7])
def test_what_is_no_conversation_begins_a_new_one(kept):
    assert restored(kept) == Consultation()


@pytest.mark.parametrize("facts", [{"base_model": "/etc"}, {"base_model": "../x"}, {"data": "/etc/passwd"}])
def test_a_conversation_that_names_a_place_on_this_machine_is_not_taken(consultation, facts):
    assert restored(with_facts(consultation, **facts).to_mapping()) == Consultation()


def test_a_place_that_undo_would_bring_back_is_not_taken(consultation):
    later = told(consultation, "200 labelled")
    moment = replace(later.state.past[-1], facts=replace(later.state.past[-1].facts, base_model="/etc"))
    tampered = replace(later, state=replace(later.state, past=(moment,)))

    assert restored(tampered.to_mapping()) == Consultation()


def test_a_folder_beside_the_server_is_not_taken_for_a_hub_name(consultation, tmp_path, monkeypatch):
    (tmp_path / "runs" / "one-2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert told(consultation, "start from runs/one-2").state.facts.base_model is None
    assert told(consultation, "start from org/one-2").state.facts.base_model == "org/one-2"


def test_a_measurement_from_the_browser_is_not_believed(consultation):
    mapping = consultation.to_mapping() | {
        "evidence": {
            "data": "d", "rows": 1, "model": "evil/model-1", "frozen": "enough", "similarity": None, "sentence": "s",
            "candidates": [], "controls": [],
        }
    }  # fmt: skip

    assert restored(mapping).evidence is None


def test_a_chip_that_is_taken_away_is_forgotten(consultation):
    chips = [chip for chip in shown(consultation).chips if chip != "no GPU"]
    after = with_chips(consultation, chips)

    assert after.state.facts == replace(consultation.state.facts, compute=None)
    assert "Forgotten: no GPU." in shown(after).messages[-1]["content"]


def test_a_chip_that_is_written_is_read_like_a_message(consultation):
    after = with_chips(consultation, [*shown(consultation).chips, "200 labelled"])

    assert after.state == told(consultation, "200 labelled").state


def test_chips_left_as_they_are_change_nothing(consultation):
    assert with_chips(consultation, shown(consultation).chips) == consultation


def test_quick_replies_stand_on_the_last_message_alone(consultation):
    messages = shown(consultation).messages

    assert [message for message in messages if "options" in message] == [messages[-1]]
    assert [each["value"] for each in messages[-1]["options"]] == list(consultation.state.question.replies)


def test_an_answer_by_quick_reply_goes_on_to_a_plan(consultation):
    while consultation.state.question is not None:
        consultation = told(consultation, consultation.state.question.replies[0])
    plan = TransferPlan.from_yaml(shown(consultation).plan)

    assert plan.to_mapping() == shown(consultation).advice.plan


def test_a_long_talk_keeps_its_facts_and_drops_its_first_lines(consultation):
    for number in range(MOST_TURNS + 3):
        consultation = told(consultation, f"{number + 1} labelled")

    assert len(consultation.turns) == MOST_TURNS
    assert consultation.state.facts.domain == "x-ray"
    assert restored(consultation.to_mapping()) == consultation


def test_a_script_is_shown_as_text_in_the_card():
    advice = Advice(facts=TaskFacts(), method="features", depth=1, baseline=SCRIPT, protections=(SCRIPT,))

    assert SCRIPT not in advice_card(advice)
    assert "&lt;script&gt;" in advice_card(advice)


def test_of_a_long_message_only_the_beginning_is_read():
    assert told(Consultation(), "80 labelled " + "x" * 5000 + " no GPU").state.facts.compute is None
