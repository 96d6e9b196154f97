"""Masked language models as classifiers: a cloze, whose gap is filled by the words of each label.

    "the food was cold . It was [MASK] ."      score of a label = log P(its words at the mask | everything around)

Sources: Schick & Schütze 2021, "PET" (arXiv:2001.07676); Gao et al. 2021, "LM-BFF" (arXiv:2012.15723), whose
demonstrations are filled-in clozes before the query.

A model that reads in both directions sees the query while it reads the demonstrations: no states of the prompt's
beginning can be kept, and every demonstration costs its tokens again for every text.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForMaskedLM

from hf_transfer_kit import models
from hf_transfer_kit.errors import ModelError, PromptError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import (
    Demonstrations,
    Progress,
    PromptClassifier,
    Retriever,
)
from hf_transfer_kit.prompting.language_models.cloze import Cloze, Clozes
from hf_transfer_kit.prompting.language_models.context_length import (
    Shown,
    check_length,
    context_length,
    demonstrations_of,
)
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.scores import Scores, Usage

PROBES = ("x", "x x x x x x x")  # of two lengths, so that padding is checked too
TOLERANCE = 1e-3  # nats, fp32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """The labels whose words have the same number of tokens, which one pass scores together.

    Fields:
        columns: numbers of the labels.
        tokens: (labels, tokens).
        stand_in: the words of the first, which keep the place of the masks while a prompt is cut into tokens.
    """

    columns: list[int]
    tokens: torch.Tensor
    stand_in: str


class MaskedClassifier(PromptClassifier):
    """Scores labels by a masked language model, at `{{ mask }}` in the prompt's template.

    A label of one token is exact: one pass per text, all such labels together. A label of k tokens is an
    approximation, that of PET and LM-BFF: k masks side by side, and the sum of the log-probabilities of its tokens,
    each predicted while the others are masked; one more pass per text for each k that labels have. Nothing is divided
    by the number of tokens (`Scores.per_token` does).

    What stands at the mask is what the tokenizer makes of the label's words in the place of the mask. Texts are data:
    "[MASK]" or "[SEP]" in a text are plain characters.

    Args:
        batch_size: texts in one pass; changes the speed and nothing else.

    Example:
        >>> prompt = Prompt(name="topic", template="{{ input }} This is about {{ mask }}.")
        >>> classifier = MaskedClassifier(ModelSpec(name="google-bert/bert-base-uncased"), prompt)  # doctest: +SKIP
        >>> classifier.fit(["sports", "politics"])  # doctest: +SKIP
        >>> classifier.score(["The goalkeeper saved twice."]).predictions.tolist()  # doctest: +SKIP
        [0]
    """

    def __init__(self, model: ModelSpec, prompt: Prompt, *, input_noun: str = "text", batch_size: int = 32):
        self.model, self.prompt, self.input_noun, self.batch_size = model, prompt, input_noun, batch_size
        self._model: Any = None
        self._answers: list[_Answers] = []
        self._mask_rows_only = True

    def fit(self, labels: Sequence[str], demonstrations: Demonstrations | None = None) -> None:
        self._load()
        self.prompt.check(labels)
        self._labels, self._demonstrations = list(labels), demonstrations
        self._cloze = Clozes(self._tokenizer, self.prompt, labels, input_noun=self.input_noun)
        fixed: Shown = () if isinstance(demonstrations, Retriever) else tuple(demonstrations or ())
        tokens = [self._tokens_of(label, fixed) for label in labels]
        self._check_different(tokens)
        self._label_tokens = np.array([len(each) for each in tokens])
        self._answers = self._by_length(tokens)
        probes = [self._clozes(probe, fixed) for probe in PROBES]
        self._check_length(PROBES[:1], [fixed], probes[:1])
        limit = context_length(self._tokenizer)
        self._mask_rows_only = self._agrees([each for each in probes if limit is None or _length(each) <= limit])

    def _score(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Scores:
        if not self._answers:
            raise PromptError("there are no labels to score yet; call fit(labels) first.")
        started = time.perf_counter()
        shown = demonstrations_of(inputs, self._demonstrations)
        clozes = [self._clozes(*each) for each in zip(inputs, shown, strict=True)]
        self._check_length(inputs, shown, clozes)
        log_scores = np.zeros((len(inputs), len(self._labels)))
        by_length = sorted(range(len(inputs)), key=lambda i: _length(clozes[i]))
        size = self.batch_size if self._mask_rows_only else 1
        for start in range(0, len(inputs), size):
            rows = by_length[start : start + size]
            log_scores[rows] = self._scores([clozes[i] for i in rows])
            if on_progress is not None:
                on_progress(min(start + size, len(inputs)), len(inputs))
        return Scores(
            log_scores=log_scores,
            label_tokens=self._label_tokens,
            unreadable=np.zeros(len(inputs), dtype=bool),
            usage=Usage(
                tokens_in=sum(len(cloze.tokens) for each in clozes for cloze in each),
                tokens_out=sum(len(cloze.places) for each in clozes for cloze in each),
                seconds=time.perf_counter() - started,
            ),
        )

    @property
    def parameters(self) -> int:
        return 0 if self._model is None else int(self._model.num_parameters())

    @property
    def details(self) -> dict[str, Any]:
        if not self._answers:
            return {}
        return {
            "path": "head at the masks only" if self._mask_rows_only else "whole model, one text at a time",
            "passes_per_input": len(self._answers),
            "approximate_labels": [label for label, n in zip(self._labels, self._label_tokens, strict=True) if n > 1],
        }

    def _load(self) -> None:
        if self._model is not None:
            return
        tokenizer = models.load_tokenizer(self.model)
        if tokenizer.mask_token_id is None or not tokenizer.is_fast:
            what = "mask token" if tokenizer.mask_token_id is None else "fast tokenizer (tokenizer.json)"
            raise ModelError(f"model '{self.model.name}' has no {what}; choose a masked model, or another classifier.")
        model, info = models.load(
            AutoModelForMaskedLM.from_pretrained, self.model, dtype=torch.float32, use_safetensors=True,
            output_loading_info=True,
        )  # fmt: skip
        missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
        if missing and not all(name.startswith(f"{model.base_model_prefix}.") for name in missing):
            raise ModelError(
                f"model '{self.model.name}' has no language model head: its answers would be random; use "
                "classifier embedding, or a model trained to fill masks."
            )
        if missing:
            raise ModelError(
                f"the weights of model '{self.model.name}' lack {len(missing)} parameters that its config.json asks "
                f"for, the first is {missing[0]}; copy or download both again."
            )
        self._tokenizer, self._model = tokenizer, model.to(models.device()).eval()

    def _tokens_of(self, label: str, shown: Shown) -> tuple[int, ...]:
        """The label's words as tokens at the place of the mask."""
        tokens = tuple(self._cloze.of(PROBES[0], shown, self.prompt.words(label)).words)
        if self._tokenizer.unk_token_id in tokens:
            raise PromptError(self._other_words(label, "are not in the model's vocabulary"))
        return tokens

    def _check_different(self, tokens: Sequence[tuple[int, ...]]) -> None:
        first: dict[tuple[int, ...], str] = {}
        for label, each in zip(self._labels, tokens, strict=True):
            if first.setdefault(each, label) != label:
                raise PromptError(self._other_words(label, f"are the same to the model as those of '{first[each]}'"))

    def _other_words(self, label: str, why: str) -> str:
        words = self.prompt.words(label)
        return f"prompt '{self.prompt.name}': the words '{words}' of label '{label}' {why}; give others under answers."

    def _by_length(self, tokens: Sequence[tuple[int, ...]]) -> list[_Answers]:
        columns = defaultdict(list)
        for column, each in enumerate(tokens):
            columns[len(each)].append(column)
        return [
            _Answers(
                columns=same,
                tokens=torch.tensor([tokens[column] for column in same], device=models.device()),
                stand_in=self.prompt.words(self._labels[same[0]]),
            )
            for _, same in sorted(columns.items())
        ]

    def _clozes(self, input: Any, shown: Shown) -> list[Cloze]:
        """The prompt of `input` for each number of masks, fewest first."""
        clozes = [self._cloze.of(input, shown, answers.stand_in) for answers in self._answers]
        for cloze, answers in zip(clozes, self._answers, strict=True):
            if cloze.words != answers.tokens[0].tolist():
                raise PromptError(self._cloze.not_apart(answers.stand_in))
        return clozes

    def _check_length(self, inputs: Sequence[Any], shown: Sequence[Shown], clozes: Sequence[list[Cloze]]) -> None:
        check_length(
            inputs, shown, [_length(each) for each in clozes], context_length(self._tokenizer),
            lambda *each: _length(self._clozes(*each)), retrieved=isinstance(self._demonstrations, Retriever),
        )  # fmt: skip

    def _scores(self, clozes: Sequence[list[Cloze]]) -> np.ndarray:
        """(texts, labels) of one batch."""
        scores = torch.zeros(len(clozes), len(self._labels))
        for i, answers in enumerate(self._answers):
            log_probabilities = self._at_masks([each[i] for each in clozes]).log_softmax(-1)
            positions = torch.arange(answers.tokens.shape[1], device=answers.tokens.device)
            scores[:, answers.columns] = log_probabilities[:, positions, answers.tokens].sum(-1).cpu()
        return scores.numpy()

    def _at_masks(self, clozes: Sequence[Cloze]) -> torch.Tensor:
        """(texts, masks, vocabulary): logits at the masks."""
        tokens = [torch.tensor(cloze.tokens, device=self._model.device) for cloze in clozes]
        places = torch.tensor([cloze.places for cloze in clozes], device=self._model.device)
        rows = torch.arange(len(clozes), device=self._model.device)[:, None]
        prompts = pad_sequence(tokens, batch_first=True, padding_value=self._tokenizer.pad_token_id)
        prompts[rows, places] = self._tokenizer.mask_token_id
        attention = pad_sequence([torch.ones_like(each) for each in tokens], batch_first=True)
        batch = {"input_ids": prompts, "attention_mask": attention, "return_dict": True}
        with torch.inference_mode():
            if not self._mask_rows_only:
                return self._model(**batch).logits[rows, places].float()
            with _body_gives(self._model, rows, places):
                return self._model(**batch).logits.float()

    def _agrees(self, clozes: Sequence[list[Cloze]]) -> bool:
        """Whether a padded batch with the head at the masks gives what the whole model says to each text alone."""
        self._mask_rows_only = True
        try:
            together = self._scores(clozes)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            return False  # a body that gives something else than hidden states
        self._mask_rows_only = False
        alone = np.concatenate([self._scores([each]) for each in clozes])
        return bool(np.abs(together - alone).max() <= TOLERANCE)


def _length(clozes: Sequence[Cloze]) -> int:
    """Tokens of the longest."""
    return max(len(cloze.tokens) for cloze in clozes)


@contextmanager
def _body_gives(model: Any, rows: torch.Tensor, places: torch.Tensor) -> Iterator[None]:
    """Inside, the head sees the hidden states at the masks only, and costs per mask instead of per token.

    The head may be any module, or several (`cls`, `lm_head`, `vocab_projector`, ...): it need not be found.
    """

    def keep(_module: Any, _arguments: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[rows, places]
        return output

    hook = model.base_model.register_forward_hook(keep)
    try:
        yield
    finally:
        hook.remove()
