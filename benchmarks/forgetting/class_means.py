"""Nothing is trained: the nearest class mean of the frozen model's sentence embeddings.

A mean is made from the rows of its own intent alone, so it is the same in any order of the domains, and nothing can be
forgotten. Later domains only add rivals in the class-incremental scenario.
"""

import time
from collections.abc import Sequence

import numpy as np

from benchmarks.forgetting.clinc_domains import Domain
from benchmarks.forgetting.domain_scores import Matrix, Run, score
from benchmarks.forgetting.upper_blocks import MAX_LENGTH
from hf_transfer_kit import Demonstration, make_classifier

NAME = "class means, frozen"


def class_means(domains: Sequence[Domain], start: dict[str, list[float]], model: str, seed: int) -> Run:
    """The accuracies at the end, the only ones that are measured; the names of the intents are not read."""
    count = len(domains)
    labels = [str(label) for label in sorted(label for domain in domains for label in domain.labels)]
    begun = time.process_time()
    classifier = make_classifier(model, kind="prototype", names=False, max_length=MAX_LENGTH)
    rows = [row for domain in domains for row in zip(domain.train.texts, domain.train.labels, strict=True)]
    classifier.fit(labels, [Demonstration(input=text, label=str(label)) for text, label in rows])
    seconds = round((time.process_time() - begun) / count, 3)
    logits = classifier.score([text for domain in domains for text in domain.held_out.texts]).log_scores
    every = np.full((len(logits), 1 + max(map(int, labels))), -np.inf)  # of fewer domains: intents without rows
    every[:, list(map(int, labels))] = logits
    matrix: dict[str, Matrix] = {}
    for scenario, values in score(every, domains).items():
        matrix[scenario] = [[None] * count for _ in domains]
        matrix[scenario][-1][:] = values
    return Run(
        method=NAME, setting=None, seed=seed, domains=[domain.name for domain in domains], matrix=matrix, start=start,
        cpu_seconds=[seconds],
    )  # fmt: skip
