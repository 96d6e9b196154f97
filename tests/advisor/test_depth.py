"""How deep to train, from a table made by hand."""

import pytest

from hf_transfer_kit.advisor.deciding.decision import decide
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import memory_by_parameters

LADDER = [  # labels, similarity, complexity, compute -> method
    (99, "same", "simple", "gpu", "features"),
    (99, "different", "complex", "gpu", "features"),
    (100, "same", "simple", "gpu", "features"),
    (100, "same", "medium", "gpu", "top_layers"),
    (100, "moderate", "simple", "gpu", "top_layers"),
    (100, "different", "simple", "gpu", "gradual"),
    (100, "same", "complex", "gpu", "full"),
    (10_000, "moderate", "medium", "gpu", "top_layers"),
    (10_001, "moderate", "medium", "gpu", "full"),
    (10_001, "same", "medium", "gpu", "gradual"),
    (10_001, "same", "simple", "gpu", "top_layers"),
    (10_001, "same", "medium", "cpu", "top_layers"),
    (10_001, "different", "medium", "cpu", "gradual"),
    (10_001, "different", "medium", "none", "features"),
    (1_000_000, "different", "medium", "cluster", "scratch"),
    (999_999, "different", "medium", "cluster", "full"),
    (1_000_000, "moderate", "medium", "cluster", "full"),
    (1_000_000, "different", "medium", "multi_gpu", "full"),
]


@pytest.mark.parametrize(("labels", "similarity", "complexity", "compute", "method"), LADDER)
def test_the_ladder(labels, similarity, complexity, compute, method):
    facts = TaskFacts(
        modality="image", n_labelled=labels, similarity=similarity, complexity=complexity, compute=compute
    )
    assert decide(facts, memory_by_parameters).method == method


@pytest.mark.parametrize("compute", ["gpu", "cluster"])
def test_old_skills_to_keep_make_full_fine_tuning_gradual_and_rule_out_a_random_start(compute):
    facts = TaskFacts(
        modality="image", n_labelled=2_000_000, similarity="different", compute=compute, keep_old_skills=True
    )
    decision = decide(facts, memory_by_parameters)
    assert (decision.method, decision.situation.depth) == ("gradual", 4)


def test_labels_per_class_count_times_the_classes():
    facts = TaskFacts(modality="image", per_class=50, n_classes=6)
    assert facts.labels == 300 and decide(facts, memory_by_parameters).method == "top_layers"


@pytest.mark.parametrize(
    ("facts", "method"),
    [
        ({"modality": "text", "llm": True}, "zero_shot"),
        ({"modality": "text", "llm": True, "n_labelled": 99}, "few_shot"),
        ({"modality": "text", "llm": True, "n_labelled": 100}, "top_layers"),
        ({"modality": "text", "llm": False, "n_labelled": 99}, "features"),
        ({"modality": "text", "llm": True, "n_labelled": 99, "real_time": True}, "features"),
        ({"modality": "image", "llm": True, "n_labelled": 99}, "features"),
        ({"task": "generation", "n_labelled": 99}, "few_shot"),
        ({"task": "generation", "n_labelled": 5000}, "top_layers"),
        ({"task": "generation", "domain": "code", "n_labelled": 5000}, "lora"),
        ({"task": "captioning"}, "zero_shot"),
        ({"task": "detection", "n_labelled": 0}, "features"),
    ],
)
def test_a_model_is_asked_before_one_is_trained_where_labels_are_few(facts, method):
    assert decide(TaskFacts(**facts), memory_by_parameters).method == method
