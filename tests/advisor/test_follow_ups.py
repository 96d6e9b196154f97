"""What is offered to be asked is understood, and has an answer."""

import pytest
from advisor.drawn_facts import drawn

from hf_transfer_kit.advisor.conversation.answers import method_in
from hf_transfer_kit.advisor.conversation.dialogue import DialogueState, reply
from hf_transfer_kit.advisor.conversation.follow_ups import follow_ups
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.language.reading import understand
from hf_transfer_kit.advisor.rules import advise

TEXTS = {"modality": "text", "task": "classification", "compute": "gpu"}


@pytest.mark.parametrize("facts", drawn(60, seed=3), ids=lambda facts: "")
def test_every_one_is_a_question_that_sets_no_fact(facts):
    advice = advise(facts)
    offered = follow_ups(advice)

    assert 1 <= len(offered) <= 3 and len(set(offered)) == len(offered)
    for each in offered:
        read = understand(each, None, facts)
        assert [asked.kind for asked in read.questions] in (["why_not"], ["what_if"], ["show_plan"])
        assert not read.facts


@pytest.mark.parametrize("labels", [80, 5_000, 50_000])
def test_the_number_of_labels_that_is_offered_changes_the_method(labels):
    state = DialogueState(facts=TaskFacts(**TEXTS, n_labelled=labels))
    offered = next(each for each in follow_ups(advise(state.facts)) if each.startswith("What if"))
    after, answer = reply(state, offered)

    assert "method: " in answer.text
    assert after.facts == state.facts


def test_the_method_that_is_asked_about_is_never_the_advised_one():
    for facts in drawn(60, seed=4):
        advice = advise(facts)
        assert method_in(follow_ups(advice)[0].lower()) not in (None, advice.method)


def test_the_plan_is_offered_where_there_is_one():
    planned, without = (advise(text) for text in ("5k tweets, 3 classes, one T4", "forecast sales, 500 rows"))

    assert "Show the plan" in follow_ups(planned)
    assert "Show the plan" not in follow_ups(without)
