"""Cosine similarity with the mean of a label's name and of those examples of it that lie near the input.

A class mean over the input's neighbourhood: Mitani & Hamamoto 2006, "A local mean-based nonparametric classifier"
(Pattern Recognition Letters 27), with one neighbourhood for all labels, and the label's name as one more example. As
many neighbours as examples make it the prototype classifier.

Our measurement with all-MiniLM-L6-v2, percent right, mean of five draws of the examples, 16 nearest: local means
against the vote of the same neighbours and the name, weighted by the softmax of their similarities / 0.05.

    examples per class           2            10            50
    CLINC150, banking       87.3 / 82.9   92.2 / 89.1   95.3 / 94.2
    CLINC150, travel        97.0 / 94.6   98.6 / 96.9   99.4 / 97.7
    the demo's intents      64.2 / 58.8   76.5 / 69.3   80.5 / 75.8
"""

from collections.abc import Hashable, Sequence

import numpy as np

from hf_transfer_kit.prompting.embeddings.vectors import unit

NUMBERS_AT_ONCE = 8_000_000  # in the sums of one step: 32 MB


class LocalMeans:
    """Labelled examples and label names as unit vectors.

    Args:
        examples: (examples, width).
        numbers: (examples,), number of each one's label.
        keys: of the examples; one with the key of an input is a copy of it and does not answer.
        names: (labels, width); zeros where names do not count.
        shots: how many examples answer. The nearest one of a label that has none among them answers too, which
            changes hardly any answer and mostly improves the likelihood (our measurement).

    Example:
        >>> corners = np.eye(2, dtype=np.float32)
        >>> means = LocalMeans(corners, np.array([0, 1]), ["a", "b"], names=corners, shots=1)
        >>> means.cosines(corners[:1], ["c"]).tolist()
        [[1.0, 0.0]]
    """

    def __init__(
        self, examples: np.ndarray, numbers: np.ndarray, keys: Sequence[Hashable], *, names: np.ndarray, shots: int
    ):
        self._examples, self._numbers, self._names, self._shots = examples, numbers, names, shots
        self._of_label = [np.flatnonzero(numbers == label) for label in range(len(names))]
        self._with_key: dict[Hashable, list[int]] = {}
        for position, key in enumerate(keys):
            self._with_key.setdefault(key, []).append(position)

    def cosines(self, vectors: np.ndarray, keys: Sequence[Hashable]) -> np.ndarray:
        """(inputs, labels) of the inputs' unit vectors; -1 where all that is known of a label is the input itself."""
        step = max(1, NUMBERS_AT_ONCE // max(self._names.size, len(self._examples)))
        parts = range(0, len(vectors), step)
        return np.concatenate([self._part(vectors[i : i + step], keys[i : i + step]) for i in parts])

    def _part(self, vectors: np.ndarray, keys: Sequence[Hashable]) -> np.ndarray:
        similarities = vectors @ self._examples.T  # (inputs, examples)
        for row, key in enumerate(keys):
            similarities[row, self._with_key.get(key, [])] = -np.inf
        sums = np.repeat(self._names[None], len(vectors), axis=0)  # (inputs, labels, width)
        rows, columns = np.nonzero(self._chosen(similarities))
        np.add.at(sums, (rows, self._numbers[columns]), self._examples[columns])
        cosines = np.einsum("nlw,nw->nl", unit(sums), vectors)
        cosines[~sums.any(axis=2)] = -1.0
        return cosines

    def _chosen(self, similarities: np.ndarray) -> np.ndarray:
        """(inputs, examples): True for those that answer."""
        order = np.argsort(-similarities, axis=1, kind="stable")[:, : self._shots]
        chosen = np.zeros(similarities.shape, dtype=bool)
        np.put_along_axis(chosen, order, True, axis=1)
        for columns in self._of_label:
            if len(columns):
                nearest = columns[similarities[:, columns].argmax(axis=1)]
                chosen[np.arange(len(chosen)), nearest] |= ~chosen[:, columns].any(axis=1)
        return np.asarray(chosen & np.isfinite(similarities))
