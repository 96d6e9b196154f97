"""Whether some completion changes the advice, against trying every completion."""

import random
from itertools import product

from advisor.drawn_facts import drawn

from hf_transfer_kit.advisor.deciding.asking import askables, is_known
from hf_transfer_kit.advisor.deciding.completions import deciding_fact
from hf_transfer_kit.advisor.deciding.decision import decide
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import memory_by_parameters

TEXTS = TaskFacts(task="classification", modality="text", n_labelled=500)
SAME, SIMPLE = {"similarity": [{"similarity": "same"}]}, {"complexity": [{"complexity": "simple"}]}


def outcome(facts: TaskFacts) -> tuple[str, str]:
    return decide(facts, memory_by_parameters).outcome


def test_facts_that_matter_only_together_are_found():
    # Similar alone and simple alone leave 500 labels with the top layers; similar and simple together do not.
    assert deciding_fact(TEXTS, SAME, memory_by_parameters) is None
    assert deciding_fact(TEXTS, SIMPLE, memory_by_parameters) is None
    assert deciding_fact(TEXTS, SAME | SIMPLE, memory_by_parameters) == "similarity"


def test_it_finds_a_difference_exactly_where_trying_every_completion_does():
    source, answers = random.Random(0), set()
    for facts in drawn(60, seed=11):
        open_ = [fact for fact in askables() if fact not in ("task", "modality") and not is_known(facts, fact)]
        chosen = source.sample(open_, min(3, len(open_)))
        replies = {fact: [reply.facts for reply in askables()[fact].replies] for fact in chosen}
        outcomes = set()
        for together in product(*replies.values()):
            completed = facts
            for changes in together:
                completed = completed.completed(changes)
            outcomes.add(outcome(completed))
        differs = outcomes != {outcome(facts)}
        answers.add(differs)
        assert (deciding_fact(facts, replies, memory_by_parameters) is not None) == differs, facts.known
    assert answers == {True, False}
