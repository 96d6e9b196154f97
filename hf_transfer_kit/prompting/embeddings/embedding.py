"""Label names and labelled examples in one embedding space; an input gets the label that lies nearest.

Zero-shot, the cosine similarity between an input and each label's name decides; few-shot, that with the mean of the
name and those examples of the label that lie near the input (local_means.py).
"""

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Demonstration, Demonstrations, Progress, PromptClassifier, Retriever
from hf_transfer_kit.prompting.embeddings.local_means import LocalMeans
from hf_transfer_kit.prompting.embeddings.vectors import Embedder, ModelEmbedder, label_vectors, unit
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.scores import Scores, Usage
from hf_transfer_kit.tasks import TASKS
from hf_transfer_kit.tasks.task import Task

Vectors = Callable[[Sequence[Any]], np.ndarray]  # inputs -> (inputs, width)


class VectorClassifier(PromptClassifier):
    """What classifiers on embeddings share: the vectors, the time, the costs.

    Args:
        embedder: makes the vectors.
        prompt: of which the label templates are used.
        vectors: looks vectors of inputs up that were made before (by the same model and pooling), instead of making
            them; such inputs cost no tokens.

    Attributes:
        embedder, vectors: as above; `vectors` may be set at any time.
    """

    def __init__(self, embedder: Embedder, prompt: Prompt, *, vectors: Vectors | None = None):
        self.embedder, self.prompt, self.vectors = embedder, prompt, vectors
        self._labels: tuple[str, ...] = ()
        self._fit_tokens = 0

    def _score(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Scores:
        started = time.perf_counter()
        vectors, tokens = self._embed(inputs, on_progress)
        log_scores = self._log_scores(vectors, inputs) if len(inputs) else np.empty((0, len(self._labels)))
        return Scores(
            log_scores=log_scores.astype(np.float64),
            label_tokens=np.ones(len(self._labels), dtype=np.int64),
            unreadable=np.zeros(len(inputs), dtype=bool),
            usage=Usage(tokens_in=tokens, seconds=time.perf_counter() - started),
        )

    def _operations(self, inputs: Sequence[Any], usage: Usage) -> float:
        return 0.0 if self.vectors is not None else super()._operations(inputs, usage)

    @property
    def parameters(self) -> int:
        return self.embedder.parameters

    @property
    def details(self) -> dict[str, Any]:
        return self.embedder.details | {
            "temperature": self.embedder.temperature,
            "label_templates": len(self.prompt.label_templates),
            "fit_tokens": self._fit_tokens,
        }

    @abstractmethod
    def _log_scores(self, vectors: np.ndarray, inputs: Sequence[Any]) -> np.ndarray:
        """(inputs, labels) of the inputs' unit vectors."""

    def _begin(self, labels: Sequence[str], demonstrations: Demonstrations | None) -> Sequence[Demonstration]:
        """Takes the labels; returns the demonstrations, none of an unknown label."""
        if isinstance(demonstrations, Retriever):
            raise PromptError("a classifier on embeddings finds the nearest examples itself; give it all examples.")
        self._labels, self._fit_tokens = tuple(labels), 0
        for each in demonstrations or ():
            if each.label not in self._labels:
                raise PromptError(f"a demonstration has the label '{each.label}', which is no label of the data.")
        return demonstrations or ()

    def _names(self) -> np.ndarray:
        """(labels, width) of the label names; no two may read the same."""
        self.prompt.check(self._labels)
        embedded = label_vectors(self.embedder, self.prompt, self._labels)
        self._fit_tokens += embedded.tokens
        return embedded.vectors

    def _examples(self, demonstrations: Sequence[Demonstration]) -> tuple[np.ndarray, np.ndarray]:
        """((examples, width), number of the label of each)."""
        vectors, tokens = self._embed([each.input for each in demonstrations], None)
        self._fit_tokens += tokens
        numbers = {label: number for number, label in enumerate(self._labels)}
        return vectors, np.array([numbers[each.label] for each in demonstrations])

    def _embed(self, inputs: Sequence[Any], on_progress: Progress | None) -> tuple[np.ndarray, int]:
        if self.vectors is not None and len(inputs):
            return unit(np.asarray(self.vectors(inputs), dtype=np.float32)), 0
        embedded = self.embedder.embed(inputs, on_progress)
        return embedded.vectors, embedded.tokens


class EmbeddingClassifier(VectorClassifier):
    """Cosine similarity with label names, and with the nearest of the labelled examples.

    Scores are cosine similarities divided by 0.05, which does not change which label is the best. With
    all-MiniLM-L6-v2 the temperature of the best likelihood lies around it: zero-shot 0.07 on CLINC150's banking domain
    and the demo's intents, 0.03 on travel; with examples 0.03 to 0.05, on the demo's intents up to 0.07 (our
    measurement; of 0.01, 0.02, 0.03, 0.05, 0.07 and 0.1).

    Args:
        prompt: of which the label templates are used.
        task: of the inputs; None: the one whose inputs are called `input_noun`.
        shots: how many of the examples answer, those nearest to the input. Every label has at least its nearest one.
            An exact copy of the input (see `Task.key`) is never among them.
        max_length: longest text in tokens, where less than the model's own limit; longer ones are cut.
        vectors: as of `VectorClassifier`.
        embedder: makes the vectors; None: `model` does.

    Raises:
        PromptError: on `fit`, a demonstration of an unknown label; without words, a label without a demonstration.
        ModelError: on `fit` without demonstrations, the model reads no words.

    Example:
        >>> prompt = Prompt(name="mine", label_templates=("a message about {{ label }}",))
        >>> classifier = EmbeddingClassifier(ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2"), prompt)
        >>> classifier.fit(["sports", "cooking"])
        >>> classifier.score(["We scored twice.", "Stir the soup."]).predictions.tolist()
        [0, 1]
    """

    def __init__(
        self,
        model: ModelSpec,
        prompt: Prompt,
        *,
        input_noun: str = "text",
        task: Task | None = None,
        shots: int = 16,
        max_length: int | None = None,
        vectors: Vectors | None = None,
        embedder: Embedder | None = None,
    ):
        self._task = task or task_of(input_noun)
        super().__init__(embedder or ModelEmbedder(model, self._task, max_length=max_length), prompt, vectors=vectors)
        if shots < 1:
            raise PromptError(f"shots={shots} must be >= 1; leave the demonstrations out for none.")
        self._shots = shots
        self._means: LocalMeans | None = None

    def fit(self, labels: Sequence[str], demonstrations: Demonstrations | None = None) -> None:
        shown = self._begin(labels, demonstrations)
        self.embedder.load()
        self._means = None
        if not shown or self.embedder.knows_words:
            self._label_vectors = self._names()
        if shown:
            vectors, numbers = self._examples(shown)
            if not self.embedder.knows_words:
                self._label_vectors = np.zeros((len(labels), vectors.shape[1]), dtype=np.float32)
                check_each_has_an_example(self._labels, numbers)
            keys = [self._task.key(each.input) for each in shown]
            self._means = LocalMeans(vectors, numbers, keys, names=self._label_vectors, shots=self._shots)

    def _log_scores(self, vectors: np.ndarray, inputs: Sequence[Any]) -> np.ndarray:
        if self._means is None:
            return self.embedder.name_scores(vectors @ self._label_vectors.T)
        keys = [self._task.key(each) for each in inputs]
        return self._means.cosines(vectors, keys) / self.embedder.temperature

    @property
    def details(self) -> dict[str, Any]:
        return super().details | ({"shots": self._shots} if self._means is not None else {})


def task_of(input_noun: str) -> Task:
    """The task whose inputs are called `input_noun`; raises PromptError where there is none."""
    for task in TASKS.values():
        if task.input_noun == input_noun:
            return task
    nouns = ", ".join(task.input_noun for task in TASKS.values())
    raise PromptError(f"no task has inputs called '{input_noun}'; choose one of {nouns}, or give the task.")


def check_each_has_an_example(labels: Sequence[str], numbers: np.ndarray) -> None:
    """Raises PromptError where a label has neither a readable name nor an example."""
    missing = [label for number, label in enumerate(labels) if number not in numbers]
    if missing:
        raise PromptError(
            f"label '{missing[0]}' has no demonstration, and no name that counts; give at least one example of each "
            f"label ({len(missing)} have none), or use names with a model that reads words."
        )
