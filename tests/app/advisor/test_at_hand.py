"""The data at hand tell what they tell, and are not asked about."""

from dataclasses import replace

import pytest

from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.app.advisor.advising import shown, told
from hf_transfer_kit.app.advisor.at_hand import begun_again, data_line, facts_of, is_known, with_data, without_data
from hf_transfer_kit.app.advisor.visit import Visit, restored
from hf_transfer_kit.app.data.chosen import ChosenData, demo
from hf_transfer_kit.errors import DataError
from hf_transfer_kit.plan import DataSpec

FACTS = TaskFacts(modality="text", task="classification", n_labelled=600, n_classes=12, language="en")


def chosen(name="mine.csv", **reading):
    return ChosenData(name=name, spec=DataSpec(path=f"/secret/{name}", **reading))


def at_hand(visit=None, facts=FACTS, measurable=True, **reading):
    return with_data(visit or Visit(), chosen(**reading), facts, measurable=measurable)


def known(visit):
    return visit.consultation.state.facts


def asked_to_the_end(visit):
    found = []
    while (question := visit.consultation.state.question) is not None:
        found.append(question.fact)
        visit = told(visit, question.replies[0])
    return found


def test_the_demo_data_tell_their_labels_classes_and_language_and_not_their_place():
    found = facts_of(demo())

    assert (found.modality, found.n_labelled, found.n_classes, found.language) == ("text", 768, 12, "en")
    assert found.data is None


def test_data_that_cannot_be_read_are_named_by_the_name_that_people_see(tmp_path):
    (tmp_path / "mine.csv").write_text("text\nonly one column\n")
    broken = ChosenData(name="mine.csv", spec=DataSpec(path=str(tmp_path / "mine.csv")))

    with pytest.raises(DataError, match=r"mine\.csv") as raised:
        facts_of(broken)
    assert str(tmp_path) not in str(raised.value)


def test_what_the_data_tell_is_not_asked_and_neither_is_what_measuring_will_tell():
    asked = asked_to_the_end(at_hand())

    assert asked
    assert not {"similarity", *FACTS.known} & set(asked)


def test_where_nothing_may_be_measured_the_similarity_is_asked_for():
    assert "similarity" in asked_to_the_end(at_hand(measurable=False))


def test_what_was_said_before_stays_and_what_it_contradicts_gives_way():
    visit = at_hand(told(Visit(), "80 texts to classify, no GPU"))

    assert (known(visit).compute, known(visit).n_labelled) == ("cpu", 600)
    assert "The data say 600 labelled, not 80 labelled" in visit.consultation.turns[-1].answer


def test_other_data_take_the_place_of_the_first_and_of_what_these_told():
    visit = told(at_hand(facts=replace(FACTS, input_length=32)), "no GPU")
    after = with_data(visit, chosen("other.csv"), TaskFacts(modality="image", n_labelled=90), measurable=True)

    assert known(after).known == {"modality": "image", "n_labelled": 90, "compute": "cpu"}
    assert after.data == "other.csv"


def test_a_measurement_of_other_data_counts_no_more():
    visit = replace(at_hand(), job="1" * 32, measured="1" * 32)
    after = at_hand(visit, label_column="topic")

    assert (after.job, after.measured, after.consultation.evidence) == ("", "", None)


def test_the_same_data_read_in_the_same_way_are_known_and_read_otherwise_they_are_not():
    visit = restored(at_hand().to_mapping())

    assert is_known(visit, chosen())
    assert not is_known(visit, chosen(label_column="topic"))
    assert not is_known(visit, chosen("other.csv"))
    assert not is_known(visit, None)
    assert is_known(Visit(), None)


def test_the_browser_is_given_no_place_of_the_data():
    assert "/secret" not in str(at_hand().to_mapping())


def test_data_that_go_away_leave_what_they_told():
    after = without_data(replace(at_hand(), job="1" * 32))

    assert (after.data, after.job) == ("", "")
    assert known(after) == known(at_hand())


def test_a_new_start_keeps_the_data_and_forgets_what_was_said():
    visit = begun_again(told(at_hand(), "no GPU"), measurable=True)

    assert known(visit) == FACTS
    assert len(visit.consultation.turns) == 1
    assert is_known(visit, chosen())
    assert begun_again(told(Visit(), "80 x-rays"), measurable=False) == Visit()


def test_the_name_of_the_data_is_shown_as_text():
    visit = with_data(Visit(), chosen("<b>.csv"), FACTS, measurable=True)

    assert "&lt;b&gt;.csv" in data_line(visit) and "<b>" not in data_line(visit)
    assert "<b>" not in data_line(Visit(), problem="<b>")
    assert shown(visit).messages[-1]["content"].startswith("Read from <b>.csv")  # the chat shows text as text
