"""What a browser keeps of the Advisor tab, and what of it is believed when it comes back."""

from dataclasses import replace

import pytest

from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.app.advisor.advising import told
from hf_transfer_kit.app.advisor.visit import MOST_TURNS, Visit, restored

ID = "0" * 32


@pytest.fixture
def visit():
    return replace(
        told(Visit(), "80 labelled chest x-rays, no GPU"), data="mine.csv", reading="abc", job=ID, measured=ID
    )


def with_facts(visit, **facts):
    state = visit.consultation.state
    state = replace(state, facts=replace(state.facts, **facts))
    return replace(visit, consultation=replace(visit.consultation, state=state))


def test_a_visit_comes_back_from_the_browser(visit):
    assert restored(visit.to_mapping()) == visit


@pytest.mark.parametrize("kept", [None, {}, [], "text", {"format": "other"}, {"state": {}}, 7, {"__type__": "update"}])
def test_what_is_no_visit_begins_a_new_one(kept):
    assert restored(kept) == Visit()


@pytest.mark.parametrize("facts", [{"base_model": "/etc"}, {"base_model": "../x"}, {"data": "/etc/passwd"}])
def test_a_visit_that_names_a_place_on_this_machine_is_not_taken(visit, facts):
    assert restored(with_facts(visit, **facts).to_mapping()) == Visit()
    assert restored(replace(visit, of_data=TaskFacts(**facts)).to_mapping()) == Visit()


def test_a_place_that_undo_would_bring_back_is_not_taken(visit):
    consultation = told(visit, "200 labelled").consultation
    moment = replace(consultation.state.past[-1], facts=TaskFacts(base_model="/etc"))
    state = replace(consultation.state, past=(moment,))

    assert restored(replace(visit, consultation=replace(consultation, state=state)).to_mapping()) == Visit()


@pytest.mark.parametrize("id", ["../../etc", "x", ID + "\n", 7])
def test_a_job_that_is_no_id_is_not_taken(visit, id):
    for name in ("job", "measured"):
        assert restored(visit.to_mapping() | {name: id}) == Visit()


def test_a_measurement_from_the_browser_is_not_believed(visit):
    mapping = visit.to_mapping()
    mapping["consultation"] |= {
        "evidence": {
            "data": "d", "rows": 1, "model": "evil/model-1", "frozen": "enough", "similarity": None, "sentence": "s",
            "candidates": [], "controls": [],
        }
    }  # fmt: skip

    assert restored(mapping).consultation.evidence is None


def test_more_than_a_conversation_can_be_is_not_taken(visit):
    turns = visit.consultation.turns * (MOST_TURNS + 1)

    assert restored(replace(visit, consultation=replace(visit.consultation, turns=turns)).to_mapping()) == Visit()
    assert restored(visit.to_mapping() | {"data": "x" * 301}) == Visit()
