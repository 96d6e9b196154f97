"""Flip points: each one is what the advice becomes when that one fact changes."""

import random
from dataclasses import replace

import pytest

from hf_transfer_kit.advisor.deciding.asking import askables
from hf_transfer_kit.advisor.deciding.flips import METHODS
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.rules import advise

TEXTS = TaskFacts(task="classification", modality="text", n_labelled=5000, compute="gpu")


def changed(facts: TaskFacts, fact: str, value) -> list[TaskFacts]:
    """Everything that a flip can mean: a reply may carry a second fact, as a phone does."""
    if fact == "n_labelled":
        return [replace(facts, n_labelled=value, per_class=None)]
    replies = [reply.facts for reply in askables()[fact].replies] if fact in askables() else [{fact: value}]
    return [replace(facts, **reply) for reply in replies if reply[fact] == value]


def test_every_flip_comes_true():
    source = random.Random(0)
    for _ in range(30):
        facts = TaskFacts(
            modality=source.choice(["text", "image", None]),
            n_labelled=source.choice([None, 0, 50, 500, 50_000, 2_000_000]),
            similarity=source.choice([None, "same", "different"]), compute=source.choice([None, "cpu", "cluster"]),
            llm=source.choice([None, True]), keep_old_skills=source.choice([None, True]),
        )  # fmt: skip
        advice = advise(facts)
        for flip in advice.flips:
            assert flip.method != advice.method
            assert flip.method in {advise(then).method for then in changed(facts, flip.fact, flip.value)}
            assert METHODS[flip.method] in flip.text


def test_the_labels_at_which_the_method_changes_are_named():
    told = [(flip.value, flip.method) for flip in advise(TEXTS).flips if flip.fact == "n_labelled"]

    assert told == [(10_001, "full"), (99, "features"), (0, "zero_shot")]
    assert "Above 10,000 labels: full fine-tuning." in [flip.text for flip in advise(TEXTS).flips]


@pytest.mark.parametrize("labels", [99, 100, 10_000, 10_001])
def test_a_flip_by_labels_is_the_nearest_number_that_flips(labels):
    facts = replace(TEXTS, n_labelled=labels)
    for flip in advise(facts).flips:
        if flip.fact == "n_labelled" and flip.value:
            nearer = flip.value - 1 if flip.value > labels else flip.value + 1
            assert advise(replace(facts, n_labelled=nearer)).method != flip.method


def test_each_kind_of_fact_can_flip_the_method():
    seen = set()
    for facts in (
        TEXTS, replace(TEXTS, n_labelled=50), replace(TEXTS, n_labelled=50, llm=True),
        replace(TEXTS, n_labelled=50_000), replace(TEXTS, n_labelled=50_000, similarity="same"),
        replace(TEXTS, n_labelled=2_000_000, similarity="different"),
    ):  # fmt: skip
        seen |= {flip.fact for flip in advise(facts).flips}

    assert seen >= {
        "n_labelled",
        "similarity",
        "compute",
        "llm",
        "real_time",
        "complexity",
        "priority",
        "keep_old_skills",
    }


def test_a_cluster_is_all_that_is_missing_for_a_random_start():
    flips = advise(TaskFacts(modality="image", n_labelled=2_000_000, similarity="different", compute="gpu")).flips
    assert [(flip.value, flip.method) for flip in flips if flip.method == "scratch"] == [("cluster", "scratch")]


def test_labels_per_class_flip_as_a_whole():
    facts = TaskFacts(modality="text", per_class=20, n_classes=3)
    assert [flip.value for flip in advise(facts).flips if flip.fact == "n_labelled"][:1] == [100]
