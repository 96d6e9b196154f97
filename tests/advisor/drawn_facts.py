"""Facts drawn at random, for what must hold of every advice."""

import random

from hf_transfer_kit.advisor.facts import (
    COMPLEXITIES,
    COMPUTE,
    FROZEN,
    MODALITIES,
    PRIORITIES,
    SIMILARITIES,
    TARGETS,
    TASKS,
    TaskFacts,
)

DOMAINS = (
    "x-ray", "medical", "satellite", "radar", "wildlife", "industrial", "sentiment", "legal", "code", "knitting",
    "surveillance", "pedestrian", "retail", "document", "creative",
)  # fmt: skip
MAYBE = (None, True, False)
LABELS = (None, 0, 1, 50, 99, 100, 500, 10_000, 10_001, 200_000, 1_000_000, 3_000_000)
VALUES = {
    "task": (None, *TASKS), "modality": (None, *MODALITIES), "n_labelled": LABELS,
    "similarity": (None, *SIMILARITIES), "complexity": (None, *COMPLEXITIES), "compute": (None, *COMPUTE),
    "target": (None, *TARGETS), "priority": (None, *PRIORITIES), "domain": (None, *DOMAINS),
    "memory_gib": (None, 0.3, 2.0, 16.0, 80.0), "language": (None, "en", "fi", "mul"),
    "max_parameters": (None, 10_000, 5_000_000, 10**9), "learning_rate": (None, 1e-6, 3e-5, 1e-3),
    "base_model": (None, "microsoft/resnet-50", "me/mine"), "data": (None, "reviews.csv"),
    "input_length": (None, 1, 300), "n_classes": (None, 2, 150), "frozen": (None, *FROZEN),
    "real_time": MAYBE, "llm": MAYBE, "keep_old_skills": MAYBE, "old_data": MAYBE, "high_impact": MAYBE,
    "test_set": MAYBE, "several_objects": MAYBE, "high_resolution": MAYBE, "deployment": MAYBE,
}  # fmt: skip


def drawn(count: int, seed: int, **fixed) -> list[TaskFacts]:
    """Random facts, about half of them unknown in each."""
    source = random.Random(seed)
    found = []
    for _ in range(count):
        known = {name: source.choice(values) for name, values in VALUES.items() if source.random() < 0.6}
        found.append(TaskFacts(**known | fixed))
    return found
