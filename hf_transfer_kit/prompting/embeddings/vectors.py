"""Inputs and label names as unit vectors, of any model that embeds.

A classifier asks an `Embedder` and knows nothing of the model behind it. The vectors do not depend on how the inputs
are cut into batches, nor on their order.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.features import batches_by_length
from hf_transfer_kit.models import device, load_backbone, load_config
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Progress
from hf_transfer_kit.prompting.embeddings.pooling import Pooling, pooling_of
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.tasks.task import Task

TEMPERATURE = 0.05  # cosines of sentence models; see EmbeddingClassifier


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedded:
    """Unit vectors and what they cost.

    Fields:
        vectors: (rows, width), fp32.
        tokens: read by the model, padding not counted; 0 for images.
    """

    vectors: np.ndarray
    tokens: int = 0


class Embedder(ABC):
    """One model that turns inputs, and texts if it knows words, into vectors of one space.

    Attributes:
        temperature: cosine similarities are divided by it.
        knows_words: whether `embed_texts` works.
    """

    temperature: float = TEMPERATURE
    knows_words: bool = True

    @abstractmethod
    def load(self) -> None:
        """Loads the weights, once; raises ModelError where that fails."""

    @abstractmethod
    def embed(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Embedded:
        """The vectors of inputs of the task."""

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> Embedded:
        """The vectors of texts that describe labels."""

    def name_scores(self, cosines: np.ndarray) -> np.ndarray:
        """Log-scores of the cosine similarities (inputs, labels) between inputs and label names."""
        return np.asarray(cosines / self.temperature)

    @property
    def parameters(self) -> int:
        """Of the model, once it is loaded; 0 before."""
        return 0

    @property
    def details(self) -> dict[str, Any]:
        """How it embeds, for the record."""
        return {}


class ModelEmbedder(Embedder):
    """A text model (see pooling.py), or a vision model, whose pooled last layer is the vector; in fp32.

    Args:
        max_length: longest text in tokens, where less than the model's own limit; longer ones are cut there.

    Example:
        >>> from hf_transfer_kit.tasks import get_task
        >>> spec = ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2")
        >>> ModelEmbedder(spec, get_task("text-classification")).embed(["hello", "good day"]).vectors.shape
        (2, 384)
    """

    def __init__(self, model: ModelSpec, task: Task, *, max_length: int | None = None):
        self._model, self._task, self._asked_length = model, task, max_length
        self.knows_words = task.input_noun == "text"
        self._backbone: Any = None

    def load(self) -> None:
        if self._backbone is not None:
            return
        self._pooling = pooling_of(self._model) if self.knows_words else Pooling()
        self._processor = self._task.load_processor(self._model)
        limits = [self._asked_length, self._pooling.max_length, getattr(self._processor, "model_max_length", None)]
        self._max_length = min(limit for limit in (*limits, 1 << 30) if limit)
        self._backbone = self._load_backbone().to(device())

    def embed(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Embedded:
        self.load()
        if self.knows_words:
            inputs = [self._pooling.prepare(text) for text in inputs]
        vectors: np.ndarray | None = None
        tokens = done = 0
        batches = batches_by_length(
            self._task, self._processor, inputs, self._max_length, self._task.inference_batch
        )  # fmt: skip
        with torch.inference_mode():
            for positions, rows in batches:
                pooled = self._pooled(rows)
                if vectors is None:
                    vectors = np.empty((len(inputs), pooled.shape[1]), dtype=np.float32)
                vectors[positions] = pooled
                tokens += sum(self._task.length(row) for row in rows) if self.knows_words else 0
                done += len(rows)
                if on_progress is not None:
                    on_progress(done, len(inputs))
        if vectors is None:
            return Embedded(vectors=np.empty((0, 0), dtype=np.float32))
        return Embedded(vectors=unit(finite(vectors, self._model)), tokens=tokens)

    def embed_texts(self, texts: Sequence[str]) -> Embedded:
        if not self.knows_words:
            raise ModelError(
                f"model '{self._model.name}' knows no words, so label names say nothing to it; give labelled examples "
                "(prototype, few_shot), or choose a CLIP model."
            )
        return self.embed(texts)

    @property
    def parameters(self) -> int:
        return 0 if self._backbone is None else int(self._backbone.num_parameters())

    @property
    def details(self) -> dict[str, Any]:
        if self._backbone is None or not self.knows_words:
            return {}
        pooling = self._pooling
        return {
            "pooling": "+".join(pooling.modes),
            "instruction": pooling.instruction,
            "max_length": self._max_length,
        }

    def _load_backbone(self) -> Any:
        if self.knows_words and load_config(self._model).is_encoder_decoder:  # T5: the encoder is what embeds
            from transformers import AutoModelForTextEncoding

            return load_backbone(AutoModelForTextEncoding, self._model)
        return self._task.load_backbone(self._model)

    def _pooled(self, rows: Sequence[Any]) -> np.ndarray:
        """(batch, width) of encoded rows."""
        collated = self._task.collate(self._processor, rows)
        batch = {name: tensor.to(self._backbone.device) for name, tensor in collated.items()}
        hidden = self._backbone(**batch).last_hidden_state
        pooled = (
            self._pooling.pool(hidden, batch["attention_mask"]) if self.knows_words else self._task.pool(hidden, batch)
        )
        return pooled.float().cpu().numpy()


def label_vectors(embedder: Embedder, prompt: Prompt, labels: Sequence[str]) -> Embedded:
    """(labels, width): of each label, the mean of its texts' unit vectors, made a unit vector again.

    A prompt without label templates gives the label's words alone. All texts are embedded in one call.

    Source: Radford et al. 2021, "CLIP", section 3.1.4 (arXiv:2103.00020): an ensemble over the embedding space.
    """
    texts = [prompt.label_texts(label) or [prompt.words(label)] for label in labels]
    embedded = embedder.embed_texts([text for each in texts for text in each])
    ends = np.cumsum([len(each) for each in texts])[:-1]
    means = np.stack([part.mean(axis=0) for part in np.split(embedded.vectors, ends)])
    return Embedded(vectors=unit(means), tokens=embedded.tokens)


def unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` along the last axis, of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1))


def finite(vectors: np.ndarray, model: ModelSpec) -> np.ndarray:
    """`vectors`; raises ModelError where they are not finite."""
    if not np.isfinite(vectors).all():
        raise ModelError(
            f"model '{model.name}' gives numbers that are not finite: its weights are damaged; load them again, or "
            "choose another model."
        )
    return vectors
