"""What every prompted classifier has from the interface: operations, counted once and scaled by tokens."""

import numpy as np
import pytest
import torch

from hf_transfer_kit.prompting.classifier import COUNTED_INPUTS, PromptClassifier
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.scores import Scores, Usage


class Multiplies(PromptClassifier):
    """One product of 1 x 4 by 4 x 3 per letter: 24 operations."""

    def __init__(self):
        self.prompt, self.calls = Prompt(name="none"), []

    def fit(self, labels, demonstrations=None):
        pass

    def _score(self, inputs, on_progress=None):
        self.calls.append(list(inputs))
        for _ in "".join(inputs):
            torch.ones(1, 4) @ torch.ones(4, 3)
        nothing = np.zeros((len(inputs), 2))
        usage = Usage(tokens_in=sum(map(len, inputs)), tokens_cached=7 * len(inputs), seconds=1.0)
        return Scores(log_scores=nothing, label_tokens=np.ones(2), unreadable=nothing[:, 0] > 0, usage=usage)


def test_operations_are_counted_on_a_few_inputs_and_scaled_by_the_tokens_that_were_evaluated():
    classifier = Multiplies()
    texts = ["four", "letters here", "and", "more"]

    first, second = classifier.score(texts).usage, classifier.score(["other"]).usage

    assert first.flops == pytest.approx(24 * len("".join(texts)))
    assert second.flops == pytest.approx(24 * 5)
    assert classifier.calls == [texts, texts[:COUNTED_INPUTS], ["other"]]
    assert classifier.score([]).usage.flops == 0


def test_nobody_counts_what_another_machine_does():
    class Elsewhere(Multiplies):
        runs_here = False

    classifier = Elsewhere()

    assert classifier.score(["text"]).usage.flops == 0
    assert classifier.calls == [["text"]]


def test_usage_adds_up_and_scores_per_token_do_not_favour_short_labels():
    scores = Scores(
        log_scores=np.array([[-1.0, -4.0], [-3.0, -4.0], [0.0, 0.0]]), label_tokens=np.array([1, 2]),
        unreadable=np.array([False, False, True]),
        usage=Usage(tokens_in=3, dollars=0.5) + Usage(tokens_in=4, flops=9.0),
    )  # fmt: skip

    assert scores.per_token.tolist() == [[-1, -2], [-3, -2], [0, 0]]
    assert scores.predictions.tolist() == [0, 0, -1]
    assert (scores.usage.tokens_in, scores.usage.dollars, scores.usage.flops) == (7, 0.5, 9.0)
