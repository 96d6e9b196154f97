"""Which labelled examples a prompt shows, and in which order.

Either the same for every input, evenly from all classes, or for each input those most like it: Liu et al. 2022, "What
Makes Good In-Context Examples for GPT-3?", section 3 (KATE, arXiv:2101.06804).
"""

import itertools
import math
import random
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from hf_transfer_kit.duplicates import normalise_text
from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.classifier import Demonstration

QUERIES_AT_ONCE = 256  # rows of the table of similarities
SAME = 1e-6  # cosines nearer to each other than this are a tie, and nearer to 1 a copy


def balanced(
    inputs: Sequence[Any], labels: Sequence[int], label_names: Sequence[str], shots: int, seed: int
) -> tuple[Demonstration, ...]:
    """`shots` examples, as evenly from the classes as can be; all there are where there are fewer.

    Round by round, every class in a new random order gives one of its examples, a random one. So the first k of n
    are those that k shots would be, and no class stands in one place of the prompt.

    Args:
        labels: class number of each input.

    Raises:
        PromptError: `shots` is negative.

    Example:
        >>> shown = balanced(["rain", "sun", "fry", "boil"], [0, 0, 1, 1], ["weather", "cooking"], shots=2, seed=0)
        >>> sorted(each.label for each in shown)
        ['cooking', 'weather']
    """
    if shots < 0:
        raise PromptError(f"shots={shots} must be >= 0.")
    draw, by_class = random.Random(seed), defaultdict(list)
    for row, label in enumerate(labels):
        by_class[int(label)].append(row)
    for label in sorted(by_class):
        draw.shuffle(by_class[label])
    chosen: list[int] = []
    while len(chosen) < min(shots, len(inputs)):
        classes = sorted(label for label, rows in by_class.items() if rows)
        draw.shuffle(classes)
        chosen.extend(by_class[label].pop() for label in classes)
    return tuple(Demonstration(input=inputs[row], label=label_names[int(labels[row])]) for row in chosen[:shots])


def in_orders(demonstrations: Sequence[Demonstration], orders: int, seed: int) -> list[tuple[Demonstration, ...]]:
    """`demonstrations` in `orders` different orders, the given one first; in all there are where there are fewer.

    Raises:
        PromptError: `orders` is not >= 1.

    Example:
        >>> shown = [Demonstration(input="rain", label="weather"), Demonstration(input="fry", label="cooking")]
        >>> [[each.input for each in order] for order in in_orders(shown, 5, seed=0)]
        [['rain', 'fry'], ['fry', 'rain']]
    """
    if orders < 1:
        raise PromptError(f"orders={orders} must be >= 1; use 1 for the given order alone.")
    given = tuple(range(len(demonstrations)))
    found = {given: None}
    if orders >= math.factorial(len(given)):
        found |= dict.fromkeys(itertools.permutations(given))
    draw = random.Random(seed)
    while len(found) < min(orders, math.factorial(len(given))):
        found[tuple(draw.sample(given, len(given)))] = None
    return [tuple(demonstrations[number] for number in order) for order in found]


class Nearest(ABC):
    """A `Retriever` of the examples most like the input, the most similar one last, where the input follows.

    Never the input itself or a copy of it. Examples as similar as each other stand in the order in which they were
    given, so that nothing depends on what else is asked.
    """

    def __init__(self, inputs: Sequence[Any], labels: Sequence[int], label_names: Sequence[str], shots: int):
        if shots < 1:
            raise PromptError(f"shots={shots} leaves nothing to retrieve; use 1 or more.")
        self._examples = [
            Demonstration(input=each, label=label_names[int(label)])
            for each, label in zip(inputs, labels, strict=True)
        ]
        self._shots = shots

    def demonstrations_for(self, inputs: Sequence[Any]) -> list[tuple[Demonstration, ...]]:
        """Of each input, at most `shots` examples; fewer where there are no more that are not copies of it."""
        found: list[tuple[Demonstration, ...]] = []
        for start in range(0, len(inputs), QUERIES_AT_ONCE):
            some = inputs[start : start + QUERIES_AT_ONCE]
            similarities = np.round(self._similarities(some) / SAME)
            for similar, copies in zip(similarities, self._copies(some, similarities), strict=True):
                order = [row for row in np.argsort(-similar, kind="stable") if row not in copies][: self._shots]
                found.append(tuple(self._examples[row] for row in reversed(order)))
        return found

    @abstractmethod
    def _similarities(self, inputs: Sequence[Any]) -> np.ndarray:
        """(inputs, examples), cosines."""

    @abstractmethod
    def _copies(self, inputs: Sequence[Any], similarities: np.ndarray) -> list[set[int]]:
        """Of each input, numbers of the examples that are copies of it; similarities in units of SAME."""


class NearestTexts(Nearest):
    """By TF-IDF of runs of 2 to 4 characters inside words: no model, any language. Copies: as `normalise_text` says.

    Example:
        >>> examples = ["will it rain?", "is it sunny?", "how to fry onions", "boil an egg"]
        >>> nearest = NearestTexts(examples, [0, 0, 1, 1], ["weather", "cooking"], shots=2)
        >>> [each.input for each in nearest.demonstrations_for(["Will it rain", "how to fry an egg"])[1]]
        ['boil an egg', 'how to fry onions']
        >>> nearest.demonstrations_for(["Will it rain"])[0][-1].input
        'is it sunny?'
    """

    def __init__(self, inputs: Sequence[str], labels: Sequence[int], label_names: Sequence[str], shots: int):
        super().__init__(inputs, labels, label_names, shots)
        self._rows_by_key = defaultdict(set)
        for row, text in enumerate(inputs):
            self._rows_by_key[normalise_text(text)].add(row)
        self._vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
        self._vectors = self._vectorizer.fit_transform(inputs)

    def _similarities(self, inputs: Sequence[str]) -> np.ndarray:
        return (self._vectorizer.transform(inputs) @ self._vectors.T).toarray()

    def _copies(self, inputs: Sequence[str], similarities: np.ndarray) -> list[set[int]]:
        return [self._rows_by_key.get(normalise_text(text), set()) for text in inputs]


class NearestVectors(Nearest):
    """By the cosine of embeddings. Copies: vectors that point the same way.

    Args:
        vectors: (examples, features), of `inputs`.
        embed: gives the vectors of other inputs, (inputs, features).

    Example:
        >>> vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> nearest = NearestVectors(
        ...     ["e", "ne", "n"], [0, 1, 0], ["a", "b"], shots=1, vectors=vectors, embed=lambda inputs: vectors[:1]
        ... )
        >>> nearest.demonstrations_for(["e"])
        [(Demonstration(input='ne', label='b'),)]
    """

    def __init__(
        self, inputs: Sequence[Any], labels: Sequence[int], label_names: Sequence[str], shots: int, *,
        vectors: np.ndarray, embed: Callable[[Sequence[Any]], np.ndarray],
    ):  # fmt: skip
        super().__init__(inputs, labels, label_names, shots)
        self._vectors, self._embed = _unit(vectors), embed

    def _similarities(self, inputs: Sequence[Any]) -> np.ndarray:
        return _unit(self._embed(inputs)) @ self._vectors.T

    def _copies(self, inputs: Sequence[Any], similarities: np.ndarray) -> list[set[int]]:
        return [set(np.flatnonzero(row >= round(1 / SAME)).tolist()) for row in similarities]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; a row of zeros stays."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
