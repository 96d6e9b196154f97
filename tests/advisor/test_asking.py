"""The next question: the one that matters most, seven at most, and none where no answer changes anything."""

import random

import pytest
from advisor.drawn_facts import drawn

from hf_transfer_kit.advisor.deciding.asking import MOST_QUESTIONS, askables, is_known
from hf_transfer_kit.advisor.deciding.decision import decide
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import memory_by_parameters
from hf_transfer_kit.advisor.knowledge.situation import situation_of
from hf_transfer_kit.advisor.rules import advise


def outcome(facts: TaskFacts) -> tuple[str, str]:
    return decide(facts, memory_by_parameters).outcome


@pytest.mark.parametrize("tell", [True, False], ids=["asked is told", "asked is not told"])
def test_a_conversation_asks_at_most_seven_questions_whatever_is_answered(tell):
    source = random.Random(5)
    for _ in range(40):
        facts, asked = TaskFacts(), []
        while (question := advise(facts, asked=asked if tell else None).next_question) is not None:
            assert question.fact not in asked
            asked.append(question.fact)
            assert 2 <= len(question.replies) <= 5
            if tell and source.random() < 0.3:
                continue  # "I don't know"
            reply = source.choice(askables()[question.fact].replies)
            facts = facts.completed(reply.facts)
        assert len(asked) <= MOST_QUESTIONS


def test_no_question_is_left_where_every_completion_has_the_same_method_and_family():
    source, ended = random.Random(6), 0
    for facts in drawn(80, seed=7):
        advice = advise(facts, asked=())
        if advice.next_question is not None:
            continue
        ended += 1
        for _ in range(20):
            completed = facts
            for askable in askables().values():
                reply = source.choice(askable.replies)
                fitting = situation_of(completed)
                implied = askable.fact in ("modality", "similarity") and getattr(fitting, askable.fact) is not None
                fits = all(getattr(completed, name) in (None, value) for name, value in reply.facts.items())
                if askable.when.holds(fitting) and not implied and not is_known(completed, askable.fact) and fits:
                    completed = completed.completed(reply.facts)
            assert outcome(completed) == outcome(facts), (facts.known, completed.known)
    assert ended


def test_a_question_is_only_asked_where_some_answer_changes_the_advice():
    for facts in drawn(50, seed=8):
        question = advise(facts, asked=()).next_question
        if question is not None:
            assert getattr(facts, question.fact) is None


def test_a_fact_that_matters_only_together_with_another_is_asked_for():
    # Opening more blocks does not fit into the memory, so that different data change nothing; similar data of a simple
    # task do, and neither of the two alone.
    facts = TaskFacts(
        task="classification", modality="text", n_labelled=500, compute="cpu", memory_gib=2.0, real_time=True,
        target="edge", language="mul", llm=False,
    )  # fmt: skip
    open_ = [reply.facts for fact in ("similarity", "complexity", "priority") for reply in askables()[fact].replies]

    assert {outcome(facts.completed(changes)) for changes in open_} == {outcome(facts)}
    assert advise(facts, asked=()).next_question.fact == "similarity"
    assert advise(facts.completed({"similarity": "different"}), asked=()).next_question is None


def test_every_reply_is_made_of_facts_that_can_be():
    for askable in askables().values():
        assert 2 <= len(askable.replies) <= 5 and askable.text.endswith("?") and askable.rules
        for reply in askable.replies:
            assert TaskFacts(**reply.facts).known == dict(reply.facts)
            assert askable.fact in reply.facts
