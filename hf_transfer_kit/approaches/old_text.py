"""What a model still makes of old text without labels: the same texts scored before and after training.

    scorer = text_scorer(ModelSpec(name="google-bert/bert-base-uncased"), task, load_old_text(spec), max_length=128)
    scorer.compare(classifier)    # OldText(measure="perplexity", before=(2.31, ...), after=(2.64, ...), ...)

A checkpoint with a language-model head is scored as the language model it was: the trained body under the head as it
came ("perplexity"). Any other has no output that could be right or wrong on a text without a label. What it taught is
in its features, so the question is what a reader that was trained on the old features still reads from the new ones
("probe"): k-means clusters of the old texts' start features stand in for labels, a linear probe learns to tell them
from those features once and stays as it is, and a text is kept where the probe reads from the trained model's features
the cluster that it read from the start model's. A change of the features that no such reader notices is no loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_transfer_kit.approaches.body import with_body_of
from hf_transfer_kit.approaches.fixed_probe import ProbedBody, fit_probe, last_features
from hf_transfer_kit.approaches.language_model import LABELS, LanguageModel, load_language_model
from hf_transfer_kit.data.old_text import TASK, OldTextData
from hf_transfer_kit.errors import DataError, ModelError
from hf_transfer_kit.isolation import undisturbed_randomness
from hf_transfer_kit.models import device, load_config
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.records import OldText
from hf_transfer_kit.tasks.task import Task


class TextScorer(ABC):
    """Scores the same texts again and again, for models of one checkpoint.

    Fields:
        measure: "perplexity" or "probe", as in `records.OldText`.
        texts: those that are scored.
        digest: of all test texts of the old data, by which a study knows the data again whatever a model can score.
        before: (texts,), the scores of the checkpoint as it came.
        notes: what was decided, one sentence each.
    """

    measure: str
    texts: tuple[str, ...]
    digest: str
    before: np.ndarray
    notes: tuple[str, ...]

    @abstractmethod
    def __call__(self, model: Any) -> np.ndarray:
        """(texts,): scores of the body of `model`, which stays as it is; adapters of peft count.

        Raises:
            ModelError: its body is not that of the checkpoint.
        """

    def compare(self, model: Any | None) -> OldText:
        """The scores before and after; `model` None where training left the checkpoint's body as it was."""
        after = self.before if model is None else self(model)
        return OldText(
            measure=self.measure, digest=self.digest, before=tuple(self.before.tolist()),
            after=tuple(after.tolist()),
        )  # fmt: skip


class PerplexityScorer(TextScorer):
    """Mean negative log-likelihood of each text's tokens, nats; lower is better."""

    measure = "perplexity"

    def __init__(self, language: LanguageModel, data: OldTextData, max_length: int):
        rows = language.rows(data.test, max_length)
        self._language, self._rows = language, [row for row in rows if row is not None]
        self.digest = data.digest
        self.texts = tuple(text for text, row in zip(data.test, rows, strict=True) if row is not None)
        if not self.texts:
            raise DataError("no old text has a token to predict; give longer texts, or another model.")
        kind = "masked tokens" if language.masked else "each next token"
        notes = [f"measured: perplexity of {kind} under {type(language.model).__name__}"]
        if lost := len(data.test) - len(self.texts):
            notes.append(f"{lost} old texts have no token to predict; left out")
        self.notes = tuple(notes)
        self.before = self(language.model)

    def __call__(self, model: Any) -> np.ndarray:
        return self._language.scores(with_body_of(self._language.model, model), self._rows)


class ProbeScorer(TextScorer):
    """1.0 for each text from whose features a fixed probe reads what it read at the start, else 0.0."""

    measure = "probe"

    def __init__(self, backbone: Any, task: Task, processor: Any, data: OldTextData, max_length: int):
        self._backbone, self._task, self._processor, self._max_length = backbone, task, processor, max_length
        self.texts, self.digest = data.test, data.digest
        self._probe, clusters = fit_probe(last_features(task, backbone, processor, data.train, max_length))
        self._first = self._read(backbone)
        self.before = np.ones(len(self.texts))
        count = int(clusters.max()) + 1
        self.notes = (f"measured: what a probe reads from the features, {count} clusters of the old texts",)

    def __call__(self, model: Any) -> np.ndarray:
        return np.equal(self._read(with_body_of(self._backbone, model)), self._first).astype(np.float64)

    def _read(self, backbone: Any) -> np.ndarray:
        """(texts,): the cluster that the probe reads."""
        features = last_features(self._task, backbone, self._processor, self.texts, self._max_length)
        answers: np.ndarray = self._probe.logits(features).argmax(axis=1)
        return answers


def text_scorer(model: ModelSpec, task: Task, data: OldTextData, max_length: int) -> TextScorer:
    """What scores `data` for models that start from the checkpoint `model`.

    Random numbers stay as they were, and the same call gives the same scores.

    Args:
        task: of the new data.
        max_length: longest text in tokens; longer ones are cut.

    Raises:
        DataError: the task is not one of texts, or there are too few texts.
        ModelError: the checkpoint cannot be loaded.

    Cost: one or two models in memory; a pass over the test texts for each model scored.
    """
    _refuse_what_is_not_scored(model, task)
    with undisturbed_randomness():  # a head that the checkpoint lacks is drawn at random
        language = load_language_model(model, task)
        if language is not None:
            language.model.to(device())
            return PerplexityScorer(language, data, max_length)
        backbone, processor = task.load_backbone(model).to(device()), task.load_processor(model)
        return ProbeScorer(backbone, task, processor, data, max_length)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OldTextExamples:
    """What `callbacks.ewc.EWC` takes to protect what pre-training taught; the fields are named as its arguments.

    Fields:
        data: rows of the old train texts, with labels.
        reference_model: the checkpoint as it came; it has no head of the new task, which so is free.
        collate_fn: makes batches of `data`.
    """

    data: list[dict[str, Any]]
    reference_model: Any
    collate_fn: Callable[[list[Any]], Any]


def old_text_examples(model: ModelSpec, task: Task, data: OldTextData, max_length: int) -> OldTextExamples:
    """The old train texts, and the model on which importance for them is estimated.

    A language model has a loss of its own on them, with masks drawn once. Any other gets that of the fixed probe: its
    body under the probe, the clusters as labels; so what is protected is what is scored, and any kind of importance
    can be asked for. (The squared length of its last hidden states, which would need no probe, says little: most
    bodies end with a norm, which fixes that length.)

    Raises:
        DataError, ModelError: as `text_scorer`.

    Example:
        >>> old = old_text_examples(spec, task, data, 128)  # doctest: +SKIP
        >>> EWC(old.data, reference_model=old.reference_model, collate_fn=old.collate_fn)  # doctest: +SKIP
    """
    _refuse_what_is_not_scored(model, task)
    with undisturbed_randomness():
        language = load_language_model(model, task)
        if language is not None:
            rows = [row for row in language.rows(data.train, max_length) if row is not None]
            return OldTextExamples(data=rows, reference_model=language.model, collate_fn=language.collate)
        backbone, processor = task.load_backbone(model).to(device()), task.load_processor(model)
        probe, clusters = fit_probe(last_features(task, backbone, processor, data.train, max_length))

        def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
            batch = [{name: value for name, value in row.items() if name != LABELS} for row in rows]
            return task.collate(processor, batch) | {LABELS: torch.tensor([row[LABELS] for row in rows])}

        encoded = zip(task.encode(processor, data.train, max_length), clusters.tolist(), strict=True)
        return OldTextExamples(
            data=[{**row, LABELS: cluster} for row, cluster in encoded],
            reference_model=ProbedBody(backbone, probe, task), collate_fn=collate,
        )  # fmt: skip


def _refuse_what_is_not_scored(model: ModelSpec, task: Task) -> None:
    if task.name != TASK.name:
        raise DataError(f"old data without labels must be text, but the task is {task.name}; give labelled old data.")
    if load_config(model).is_encoder_decoder:
        raise ModelError(
            f"model '{model.name}' is an encoder-decoder, for which old text without labels is not scored; give old "
            "data with labels, or a model with one stack."
        )
