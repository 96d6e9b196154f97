"""CLIP and SigLIP: an image gets the label whose description lies nearest to it in the space both are embedded in.

    label vector = unit(mean over templates of unit(text tower(template)))       once, on fit
    CLIP    score = exp(scale) * cosine(image tower(image), label vector)
    SigLIP  score = log sigmoid(exp(scale) * cosine + bias)

Each image passes the image tower alone: the cost does not grow with the number of labels (benchmarks/image_text).

Sources: Radford et al. 2021, "CLIP", section 3.1 (arXiv:2103.00020); Zhai et al. 2023, "SigLIP" (arXiv:2303.15343).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from hf_transfer_kit.errors import ModelError, PromptError
from hf_transfer_kit.models import device, load, load_backbone
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Progress
from hf_transfer_kit.prompting.embeddings.embedding import EmbeddingClassifier, Vectors
from hf_transfer_kit.prompting.embeddings.vectors import Embedded, Embedder, finite, unit
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.tasks.image_classification import ImageClassification, to_rgb

TEXTS_AT_ONCE = 64


class ImageTextEmbedder(Embedder):
    """The two towers of a CLIP or SigLIP model, in fp32; its own scale and bias make the scores.

    Raises:
        ModelError: the model has no two towers with a common space.
        PromptError: a label's text is longer than the text tower reads.
    """

    def __init__(self, model: ModelSpec):
        self._spec = model
        self._model: Any = None

    def load(self) -> None:
        if self._model is not None:
            return
        from transformers import AutoModelForZeroShotImageClassification, AutoTokenizer

        model = load_backbone(AutoModelForZeroShotImageClassification, self._spec)
        if not all(hasattr(model, part) for part in ("get_text_features", "get_image_features", "logit_scale")):
            raise ModelError(
                f"model '{self._spec.name}' is a {type(model).__name__}, which does not embed images and texts in one "
                "space with a scale; choose a CLIP or SigLIP model."
            )
        self._tokenizer = load(AutoTokenizer.from_pretrained, self._spec)  # which pads where the model was trained to
        self._processor = ImageClassification().load_processor(self._spec)
        with torch.inference_mode():
            self.temperature = float(1 / model.logit_scale.exp())
            self._bias = float(model.logit_bias) if hasattr(model, "logit_bias") else None
        self._model = model.to(device())

    def embed(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Embedded:
        self.load()
        size, parts, done = ImageClassification.inference_batch, [], 0
        for start in range(0, len(inputs), size):
            images = [to_rgb(value) for value in inputs[start : start + size]]
            batch = self._processor(images=images, return_tensors="pt")
            parts.append(self._vectors(self._model.get_image_features, batch))
            done += len(images)
            if on_progress is not None:
                on_progress(done, len(inputs))
        return Embedded(vectors=np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32))

    def embed_texts(self, texts: Sequence[str]) -> Embedded:
        self.load()
        longest = self._model.config.get_text_config().max_position_embeddings
        rows = self._tokenizer(list(texts))["input_ids"]
        for text, row in zip(texts, rows, strict=True):
            if len(row) > longest:
                raise PromptError(
                    f"the label text '{text[:60]}' has {len(row)} tokens, model '{self._spec.name}' reads {longest}; "
                    "shorten the label template or the description."
                )
        # SigLIP was trained with every text padded to the same length, which its last position is read from.
        padding = {"padding": "max_length", "max_length": longest} if self._bias is not None else {"padding": True}
        parts = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            batch = self._tokenizer(list(texts[start : start + TEXTS_AT_ONCE]), return_tensors="pt", **padding)
            parts.append(self._vectors(self._model.get_text_features, batch))
        return Embedded(vectors=np.concatenate(parts), tokens=sum(map(len, rows)))

    def name_scores(self, cosines: np.ndarray) -> np.ndarray:
        logits = super().name_scores(cosines)
        return logits if self._bias is None else -np.logaddexp(0.0, -(logits.astype(np.float64) + self._bias))

    @property
    def parameters(self) -> int:
        return 0 if self._model is None else int(self._model.num_parameters())

    def _vectors(self, tower: Any, batch: Any) -> np.ndarray:
        """(batch, width), unit vectors of one tower's output."""
        with torch.inference_mode():
            output = tower(**batch.to(self._model.device))
        features = getattr(output, "pooler_output", output)  # a tensor before transformers 5
        return unit(finite(features.float().cpu().numpy(), self._spec))


class ImageTextClassifier(EmbeddingClassifier):
    """Image classification by label texts, without any training; with demonstrations, by the nearest ones as well.

    Scores without demonstrations are the model's own: its logits (CLIP), or the log of its probabilities, which need
    not sum to 1 (SigLIP). With demonstrations they are cosine similarities times the model's own scale.

    Args:
        prompt: of which the label templates are used, several are averaged.
        shots: as of `EmbeddingClassifier`.
        vectors: as of `VectorClassifier`.

    Raises:
        ModelError: on `fit`, the model cannot be loaded, or has no two towers.
        PromptError: on `fit`, a label's text is longer than the model reads; as of `EmbeddingClassifier`.

    Example:
        >>> prompt = Prompt(name="mine", label_templates=("a photo of a {{ label }}.",))
        >>> classifier = ImageTextClassifier(ModelSpec(name="openai/clip-vit-base-patch32"), prompt)  # doctest: +SKIP
        >>> classifier.fit(["cat", "dog"])  # doctest: +SKIP
        >>> classifier.score(["pictures/cat.png"]).predictions.tolist()  # doctest: +SKIP
        [0]
    """

    def __init__(
        self,
        model: ModelSpec,
        prompt: Prompt,
        *,
        input_noun: str = "image",
        shots: int = 16,
        vectors: Vectors | None = None,
    ):
        super().__init__(
            model, prompt, input_noun=input_noun, task=ImageClassification(), shots=shots, vectors=vectors,
            embedder=ImageTextEmbedder(model),
        )  # fmt: skip
