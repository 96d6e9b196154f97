"""The exact log-likelihood of every label under a causal language model, for many texts behind one prompt.

A prompt with demonstrations is long, the same for all texts, and there are many labels. One forward pass per text and
label, the usual way, reads the prompt again each time and asks the head for a word after each of its tokens. Here the
prompt's common beginning is read once, each text once, and what labels have in common once per text; see
`label_paths`. Speed and tokens: benchmarks/label_scorer.

Not every model allows that: recurrent layers, some position encodings. So `fit` compares a context with plain forward
passes and takes the fastest path that agrees; see `label_check`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.label_scoring.label_check import choose_path
from hf_transfer_kit.prompting.label_scoring.label_paths import LabelPath, Progress, plain_log_scores

__all__ = ["LabelScorer", "LabelScores", "plain_log_scores"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelScores:
    """Log-likelihoods, and what they took.

    Fields:
        log_scores: (contexts, labels), float64, log-probability of each label as a whole, in nats.
        tokens_in: tokens of contexts that were evaluated; of the kept prefix once, when it was read.
        tokens_cached: tokens of contexts that were not, since the prefix was kept.
        tokens_out: tokens of labels that were evaluated.
        padding: tokens evaluated for nothing, to make rows of a batch equally long; in none of the above.
        seconds: wall time, that of reading the prefix included.
    """

    log_scores: np.ndarray
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    padding: int = 0
    seconds: float


class LabelScorer:
    """Scores labels, given as tokens, behind contexts, given as tokens.

    Args:
        model: a causal language model of transformers in eval mode, on any device, in any dtype.
        batch_size: texts per forward pass, >= 1; fewer are taken where the prefix or the head's output is large.

    Attributes (after `fit`):
        path: "trie", "rows" or "plain".
        refused: why faster paths were not taken, by their names, and why there was no check in float32, if so.
        difference: largest difference from plain forward passes seen in the check, in nats.

    Memory: the prefix's keys and values once, and during a pass those of one layer for each text of the batch (on path
    "rows" those of all layers for `batch_size` labels); nothing grows with labels times prefix. Results do not depend
    on batch size and order, but for rounding.

    Limit: the check sees the contexts it is given. Where a model changes its positions with the length of the whole
    sequence (longrope, dynamic scaling), give it a context as long as the longest.

    Example:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> model = GPT2LMHeadModel(GPT2Config(vocab_size=10, n_embd=8, n_layer=1, n_head=2)).eval()
        >>> scorer = LabelScorer(model)
        >>> scorer.fit(labels=[[7, 2], [7, 9, 2]], prefix=[1, 5, 5])
        >>> scores = scorer.score([[1, 5, 5, 8], [1, 5, 5, 3, 3]])
        >>> scorer.path, scores.log_scores.shape, scores.tokens_in, scores.tokens_cached, scores.tokens_out
        ('trie', (2, 2), 6, 6, 4)
    """

    path: str

    def __init__(self, model: Any, *, batch_size: int = 16):
        if batch_size < 1:
            raise PromptError(f"batch_size={batch_size} leaves nothing to score; use 1 or more.")
        self.model, self.batch_size = model, batch_size
        self.refused: dict[str, str] = {}
        self.difference = 0.0
        self._path: LabelPath | None = None

    @torch.inference_mode()
    def fit(
        self, labels: Sequence[Sequence[int]], prefix: Sequence[int] = (), examples: Sequence[Sequence[int]] = ()
    ) -> None:
        """Takes the labels, reads the prefix, and finds the fastest path that is right for this model.

        Args:
            labels: token ids of each label, one or more, with an end token where one is wanted.
            prefix: token ids with which contexts begin; those that do not are scored all the same, but slower.
            examples: one or two whole contexts to check with; without them, one is made of prefix and label.

        Raises:
            PromptError: there are no labels, or one has no tokens.
        """
        _check_not_empty("label", labels)
        if not labels:
            raise PromptError("there are no labels to score; give one or more.")
        _check_not_empty("example", examples)
        contexts = list(examples) or [[*prefix, *max(labels, key=len)]]
        chosen = choose_path(self.model, labels, prefix, self.batch_size, contexts)
        self._path, self.path = chosen.path, chosen.path.name
        self.refused, self.difference = chosen.refused, chosen.difference

    @torch.inference_mode()
    def score(self, contexts: Sequence[Sequence[int]], on_progress: Progress | None = None) -> LabelScores:
        """Scores every label after each context.

        Args:
            contexts: token ids of whole contexts, the prefix included, one token or more each.
            on_progress: called with (contexts done, contexts).

        Raises:
            PromptError: a context has no tokens, or `fit` was not called.
        """
        if self._path is None:
            raise PromptError("there are no labels to score yet; call fit(labels) first.")
        _check_not_empty("context", contexts)
        self._path.keep()
        reading = self._path.take_reading()
        started = time.perf_counter()
        log_scores, tally = self._path.log_scores(contexts, on_progress)
        return LabelScores(
            log_scores=log_scores.numpy(),
            tokens_in=reading.tokens_in + tally.tokens_in,
            tokens_cached=tally.tokens_cached,
            tokens_out=tally.tokens_out,
            padding=tally.padding,
            seconds=reading.seconds + time.perf_counter() - started,
        )

    def forget(self) -> None:
        """Drops what is kept of the prefix; the next `score` makes it again, and its tokens and seconds count."""
        if self._path is not None:
            self._path.forget()


def _check_not_empty(what: str, sequences: Sequence[Sequence[int]]) -> None:
    for number, tokens in enumerate(sequences):
        if not len(tokens):
            raise PromptError(f"{what} number {number} has no tokens; give one or more (a start token will do).")
