"""What a prompted model gives back: a score for every label, and what that cost. The same for every kind of model."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a number of answers cost; sums with +.

    Fields:
        tokens_in: prompt tokens the model had to read (for images: patches are not counted).
        tokens_cached: prompt tokens it did not read again, because their states, or the whole answer, were kept.
        tokens_out: label tokens evaluated, or tokens written by a remote model, kept answers included.
        requests: to a remote model, those repeated after an error included.
        seconds: wall time.
        flops: floating-point operations on this machine, counted on a few inputs and scaled by tokens.
        dollars: billed; 0 for models that run here.
    """

    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    requests: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    dollars: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """Scores of inputs for labels.

    Fields:
        log_scores: (inputs, labels), log-probabilities of each label as a whole; unnormalised where the model has no
            probabilities (similarities divided by a temperature). A row of an unreadable answer is all 0.
        label_tokens: (labels,), tokens of each label; ones where a label is not made of tokens.
        unreadable: (inputs,), True where a remote model gave no answer that is one of the labels.
        usage: what the scores cost.
    """

    log_scores: np.ndarray
    label_tokens: np.ndarray
    unreadable: np.ndarray
    usage: Usage

    @property
    def per_token(self) -> np.ndarray:
        """(inputs, labels): mean log-probability of a label's tokens, which does not favour short labels."""
        return np.asarray(self.log_scores / self.label_tokens)

    @property
    def predictions(self) -> np.ndarray:
        """(inputs,): number of the best label; -1 where the answer was unreadable."""
        best = self.log_scores.argmax(axis=1)
        return np.where(self.unreadable, -1, best)
