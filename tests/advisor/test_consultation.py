"""A consultation step by step, and through its file."""

import pytest
from advisor.made_rankings import candidate, ranking

from hf_transfer_kit.advisor.at_hand.measuring import evidence_of
from hf_transfer_kit.advisor.conversation.consultation import Consultation, messages
from hf_transfer_kit.errors import FormatError


def after(*said):
    consultation = Consultation()
    for message in said:
        consultation, reply = consultation.told(message)
    return consultation, reply


def test_the_data_hold_against_what_was_said_and_that_is_told():
    consultation, _ = after("80 labelled texts, no GPU")
    consultation, reply = consultation.with_data({"modality": "text", "n_labelled": 18_000, "n_classes": 150})

    assert consultation.state.facts.n_labelled == 18_000
    assert consultation.state.facts.compute == "cpu"
    assert "The data say 18,000 labelled, not 80 labelled (labelled examples); the data hold." in reply.said


def test_a_measurement_shows_what_it_changes_and_stays_for_what_is_asked_later():
    consultation, before = after("50k English texts to classify, one GPU")
    evidence = evidence_of(ranking(candidate("me/mine", 0.995, half=0.01)))
    consultation, reply = consultation.measured(evidence)

    assert before.advice.method == "full"
    assert reply.advice.method == "features"
    assert "method: full fine-tuning -> feature extraction" in reply.said
    assert reply.change[0].what == "method"
    assert consultation.told("why?")[1].advice.evidence == evidence


def test_a_measurement_that_changes_nothing_says_so():
    consultation, before = after("500 English texts to classify, similarity moderate, one GPU")
    consultation, reply = consultation.measured(evidence_of(ranking(candidate(before.advice.models[0].hub_id, 0.96))))

    assert "The measurement agrees with the rules." in reply.said
    assert not reply.change


def test_the_file_gives_the_same_consultation_and_the_same_next_answer(tmp_path):
    consultation, _ = after("80 labelled chest x-rays", "b", "actually 20k images")
    consultation, _ = consultation.measured(evidence_of(ranking(candidate("me/mine", 0.8))))
    consultation.save(tmp_path / "conversation.json")
    again = Consultation.load(tmp_path / "conversation.json")

    assert again == consultation
    assert again.told("no GPU") == consultation.told("no GPU")
    assert messages(again.turns) == ["80 labelled chest x-rays", "b", "actually 20k images"]


def test_another_file_is_refused(tmp_path):
    (tmp_path / "conversation.json").write_text('{"format": "something", "version": 1}')

    with pytest.raises(FormatError, match="format 'something'"):
        Consultation.load(tmp_path / "conversation.json")


def test_what_measuring_will_tell_is_asked_for_only_where_nothing_can_be_measured():
    facts = {"modality": "text", "task": "classification", "n_labelled": 600, "n_classes": 3}
    asked = [Consultation().with_data(facts, measurable=each)[1].question.fact for each in (False, True)]

    assert asked[0] == "similarity" != asked[1]
