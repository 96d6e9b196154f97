"""Encoder-decoder language models (T5, FLAN-T5, BART) as classifiers: the likelihood of every label as the answer.

    score of a label = sum over its tokens t_1 ... t_n, end: log P(t_i | prompt, t_1 ... t_(i-1))

Demonstrations stand in the prompt, which the encoder reads in both directions: nothing of it can be kept from one text
to the next, and every demonstration costs its tokens again for every text.

Sources: Raffel et al. 2020, "T5" (arXiv:1910.10683); Sanh et al. 2022, "T0", whose rank classification this is
(arXiv:2110.08207, section 5).
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM

from hf_transfer_kit import models
from hf_transfer_kit.errors import ModelError, PromptError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Demonstrations, Progress, PromptClassifier, Retriever
from hf_transfer_kit.prompting.language_models.context_length import (
    Shown,
    check_length,
    context_length,
    demonstrations_of,
)
from hf_transfer_kit.prompting.language_models.label_rows import LabelRows
from hf_transfer_kit.prompting.language_models.plain_text import plain_demonstrations, plain_text
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.scores import Scores, Usage

PROBES = ("x", "x x x x x x x")  # of two lengths, so that padding is checked too


class EncoderDecoderClassifier(PromptClassifier):
    """Scores labels by an encoder-decoder language model: exact, equal to one whole pass for each text and label.

    Texts are data: "</s>" in a text is plain characters.

    Args:
        batch_size: texts in one pass of the encoder; changes the speed and nothing else.

    Example:
        >>> prompt = Prompt(name="topic", template="{{ labels | join(' or ') }}? {{ input }}")
        >>> classifier = EncoderDecoderClassifier(ModelSpec(name="google/flan-t5-base"), prompt)  # doctest: +SKIP
        >>> classifier.fit(["sports", "politics"])  # doctest: +SKIP
        >>> classifier.score(["The goalkeeper saved twice."]).predictions.tolist()  # doctest: +SKIP
        [0]
    """

    def __init__(self, model: ModelSpec, prompt: Prompt, *, input_noun: str = "text", batch_size: int = 32):
        self.model, self.prompt, self.input_noun, self.batch_size = model, prompt, input_noun, batch_size
        self._model: Any = None
        self._rows: LabelRows | None = None

    def fit(self, labels: Sequence[str], demonstrations: Demonstrations | None = None) -> None:
        self._load()
        self.prompt.check(labels)
        self._labels, self._demonstrations = list(labels), demonstrations
        targets = self._targets()
        self._label_tokens = np.array([len(each) for each in targets])
        fixed: Shown = () if isinstance(demonstrations, Retriever) else tuple(demonstrations or ())
        probes = [self._encode(probe, fixed) for probe in PROBES]
        self._check_length(PROBES[:1], [fixed], probes[:1])
        limit = context_length(self._tokenizer)
        fitting = [each for each in probes if limit is None or len(each) <= limit]
        self._rows = LabelRows(self._model, targets, fitting, pad=self._tokenizer.pad_token_id)

    def _score(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Scores:
        if self._rows is None:
            raise PromptError("there are no labels to score yet; call fit(labels) first.")
        started = time.perf_counter()
        shown = demonstrations_of(inputs, self._demonstrations)
        prompts = [self._encode(*each) for each in zip(inputs, shown, strict=True)]
        self._check_length(inputs, shown, prompts)
        log_scores = np.zeros((len(inputs), len(self._labels)))
        by_length = sorted(range(len(inputs)), key=lambda i: len(prompts[i]))
        for start in range(0, len(inputs), self.batch_size):
            batch = by_length[start : start + self.batch_size]
            log_scores[batch] = self._rows.score([prompts[i] for i in batch]).numpy()
            if on_progress is not None:
                on_progress(start + len(batch), len(inputs))
        return Scores(
            log_scores=log_scores,
            label_tokens=self._label_tokens,
            unreadable=np.zeros(len(inputs), dtype=bool),
            usage=Usage(
                tokens_in=sum(len(each) for each in prompts),
                tokens_out=len(inputs) * self._rows.tokens_per_prompt,
                seconds=time.perf_counter() - started,
            ),
        )

    @property
    def parameters(self) -> int:
        return 0 if self._model is None else int(self._model.num_parameters())

    @property
    def details(self) -> dict[str, Any]:
        if self._rows is None:
            return {}
        path = "keys and values of the encoder kept" if self._rows.cached else "states of the encoder kept"
        return {"path": path, "decoder_tokens_per_input": self._rows.tokens_per_prompt}

    def _load(self) -> None:
        if self._model is not None:
            return
        tokenizer = models.load_tokenizer(self.model)
        model, info = models.load(
            AutoModelForSeq2SeqLM.from_pretrained, self.model, dtype=torch.float32, use_safetensors=True,
            output_loading_info=True,
        )  # fmt: skip
        if info["missing_keys"]:
            raise ModelError(
                f"model '{self.model.name}' lacks {len(info['missing_keys'])} weights of an encoder-decoder language "
                f"model, the first is {min(info['missing_keys'])}: its answers would be random; choose a checkpoint "
                "that was trained as one."
            )
        self._tokenizer, self._model = tokenizer, model.to(models.device()).eval()

    def _targets(self) -> list[tuple[int, ...]]:
        """The tokens of each label as an answer, end token included."""
        first: dict[tuple[int, ...], str] = {}
        for label in self._labels:
            tokens = self._target(label)
            if self._tokenizer.unk_token_id in tokens:
                raise PromptError(self._other_words(label, "are not in the model's vocabulary"))
            if first.setdefault(tokens, label) != label:
                raise PromptError(self._other_words(label, f"are the same to the model as those of '{first[tokens]}'"))
        return list(first)

    def _target(self, label: str) -> tuple[int, ...]:
        tokens = self._tokenizer(text_target=self.prompt.words(label))["input_ids"]
        end = self._tokenizer.eos_token_id
        return (*tokens, end) if end is not None and end not in tokens else tuple(tokens)

    def _other_words(self, label: str, why: str) -> str:
        words = f"the words '{self.prompt.words(label)}' of label '{label}'"
        return f"prompt '{self.prompt.name}': {words} {why}; give it others under answers."

    def _encode(self, input: Any, shown: Shown) -> list[int]:
        """The prompt as tokens."""
        text = self.prompt.render(
            plain_text(input, self._tokenizer), self._labels, plain_demonstrations(shown, self._tokenizer),
            input_noun=self.input_noun,
        )  # fmt: skip
        return list(self._tokenizer(text, verbose=False)["input_ids"])

    def _check_length(self, inputs: Sequence[Any], shown: Sequence[Shown], prompts: Sequence[list[int]]) -> None:
        check_length(
            inputs, shown, [len(each) for each in prompts], context_length(self._tokenizer),
            lambda *each: len(self._encode(*each)), retrieved=isinstance(self._demonstrations, Retriever),
        )  # fmt: skip
