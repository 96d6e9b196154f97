"""Causal language models, base or chat: the probability of every label's words after the prompt.

What a label gets is the log-probability of its words and of one end token, so that "card" is not favoured over "card
payment" for being shorter. It is exact: the same as one full forward pass per input and label.

Source: Brown et al. 2020, "Language Models are Few-Shot Learners", section 2.4 (arXiv:2005.14165).
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from hf_transfer_kit.errors import ModelError, PromptError
from hf_transfer_kit.models import check_kind, device, load, load_config, load_tokenizer
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Demonstrations, Progress, PromptClassifier
from hf_transfer_kit.prompting.label_scoring.label_scorer import LabelScorer, plain_log_scores
from hf_transfer_kit.prompting.language_models.contexts import Contexts, common_end
from hf_transfer_kit.prompting.language_models.frames import Frame, chat_frame, plain_frame
from hf_transfer_kit.prompting.language_models.tokens import Continuation, PromptTokens, common_prefix, positions
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.scores import Scores, Usage

CHECKED = 2  # contexts of a call behind which labels are tokenised to see that they come out as in fit
TELLING_END = 4  # characters; contexts that end alike so far are tokenised alike there, and need not all be checked
TAIL, IN_STEP = 200, 8  # characters at the end of a context that stand for it where its last tokens are the same


class CausalClassifier(PromptClassifier):
    """Log-likelihood of every label under a causal language model.

    Args:
        model: a base or a chat model.
        prompt: its template ends where the label's words follow.
        input_noun: what an input is called in the prompt.
        batch_size: inputs per forward pass.
        chat: whether the prompt is asked in the tokenizer's chat template; None: where it has one.

    Inputs are data: control tokens in them are read as plain text. Labels whose tokens depend on the text before them
    are scored by themselves, as exactly; `details["joint_fallback"]` counts such pairs of input and label since `fit`.

    Example:
        >>> prompt = Prompt(name="mine", template="{{ labels | join(' or ') }}? {{ input }}:")
        >>> classifier = CausalClassifier(ModelSpec(name="openai-community/gpt2"), prompt)  # doctest: +SKIP
        >>> classifier.fit(["weather", "cooking"])  # doctest: +SKIP
        >>> classifier.score(["it rains again"]).predictions  # doctest: +SKIP
        array([0])
    """

    def __init__(
        self, model: ModelSpec, prompt: Prompt, *, input_noun: str = "text", batch_size: int = 16,
        chat: bool | None = None,
    ):  # fmt: skip
        self.model, self.prompt, self.input_noun = model, prompt, input_noun
        self.batch_size, self.chat = batch_size, chat
        self._tokenizer: Any = None
        self._scorer: LabelScorer | None = None
        self._contexts: Contexts | None = None

    def fit(self, labels: Sequence[str], demonstrations: Demonstrations | None = None) -> None:
        self._contexts = None
        self.prompt.check(labels)
        scorer = self._load()
        self._labels, self._frame, self._fallbacks = list(labels), self._make_frame(labels), 0
        self._tokens = PromptTokens(self._tokenizer, starts=self._frame.starts)
        contexts = Contexts(
            self.prompt, self._labels, demonstrations, input_noun=self.input_noun, frame=self._frame,
            tokens=self._tokens,
        )  # fmt: skip
        probes = contexts.probes()
        self._end_alike = len(common_end(probes)) >= TELLING_END
        self._continuations = self._continue(probes[0])
        _check_distinct(labels, self._continuations)
        self._longest = max(len(each.ids) for each in self._continuations)
        self._limit = positions(self._tokenizer, scorer.model.config)
        sample = contexts.sample()
        shown = contexts.shown([sample])
        example = self._tokens.encode([contexts.text(sample, shown[0])])
        contexts.check_lengths([sample], shown, example, longest_label=self._longest, limit=self._limit)
        self._prefix = common_prefix([*self._tokens.encode(probes), *example])
        scorer.fit([each.ids for each in self._continuations], prefix=self._prefix, examples=example)
        self._contexts = contexts

    def _score(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Scores:
        if self._contexts is None or self._scorer is None:
            raise PromptError("there are no labels to score yet; call fit(labels) first.")
        started = time.perf_counter()
        shown = self._contexts.shown(inputs)
        texts = [self._contexts.text(each, before) for each, before in zip(inputs, shown, strict=True)]
        encoded = self._tokens.encode(texts)
        self._contexts.check_lengths(inputs, shown, encoded, longest_label=self._longest, limit=self._limit)
        asked = time.perf_counter()
        result = self._scorer.score(encoded, on_progress)
        started += time.perf_counter() - asked - result.seconds  # which count the reading of the prefix, in fit, too
        usage = Usage(tokens_in=result.tokens_in, tokens_cached=result.tokens_cached, tokens_out=result.tokens_out)
        usage += self._score_joints(texts, encoded, result.log_scores)
        return Scores(
            log_scores=result.log_scores,
            label_tokens=np.array([len(each.ids) for each in self._continuations]),
            unreadable=np.zeros(len(inputs), dtype=bool),
            usage=usage + Usage(seconds=time.perf_counter() - started),
        )

    def forget(self) -> None:
        if self._scorer is not None:
            self._scorer.forget()

    @property
    def parameters(self) -> int:
        return 0 if self._scorer is None else int(self._scorer.model.num_parameters())

    @property
    def details(self) -> dict[str, Any]:
        if self._contexts is None or self._scorer is None:
            return {}
        return {
            "path": self._scorer.path,
            "prefix_tokens": len(self._prefix),
            "chat": not self._frame.starts,
            "joint_fallback": self._fallbacks,
            "label_tokens": [len(each.ids) for each in self._continuations],
        }

    def _load(self) -> LabelScorer:
        """The scorer with its model, loaded at the first call."""
        if self._scorer is None:
            _check_causal(self.model)
            self._tokenizer, place = load_tokenizer(self.model), device()
            model, info = load(
                AutoModelForCausalLM.from_pretrained, self.model, use_safetensors=True, output_loading_info=True,
                dtype=torch.float32 if place.type == "cpu" else "auto",
            )  # fmt: skip
            if info["missing_keys"]:
                raise ModelError(
                    f"model '{self.model.name}' lacks the weights {sorted(info['missing_keys'])[0]} of a causal "
                    "language model; choose a checkpoint that was trained as one."
                )
            self._scorer = LabelScorer(model.to(place).eval(), batch_size=self.batch_size)
        return self._scorer

    def _make_frame(self, labels: Sequence[str]) -> Frame:
        template = self._tokenizer.chat_template
        if self.chat and not template:
            raise PromptError(f"model '{self.model.name}' has no chat template; ask it without chat.")
        if template and self.chat is not False:
            return chat_frame(self._tokenizer, self.prompt.system)
        return plain_frame(self.prompt, labels, self.input_noun)

    def _continue(self, context: str) -> list[Continuation]:
        words = [self._frame.separator + self.prompt.words(label) for label in self._labels]
        return self._tokens.continuations(context, words, end=self._frame.end)

    def _score_joints(self, texts: Sequence[str], encoded: Sequence[Sequence[int]], log_scores: np.ndarray) -> Usage:
        """Puts right the scores of labels that have other tokens behind a text than they had in `fit`; its cost."""
        usage = Usage()
        checked = CHECKED if self._end_alike else len(texts)
        others = {row: self._others(texts[row], encoded[row]) for row in range(min(checked, len(texts)))}
        if any(others.values()):
            others |= {row: self._others(texts[row], encoded[row]) for row in range(checked, len(texts))}
        for row, columns in others.items():
            for column, joint in columns.items():
                log_scores[row, column] = self._joint_score(encoded[row], joint)
                usage += Usage(tokens_in=len(encoded[row]), tokens_out=len(joint.ids))
                self._fallbacks += 1
        return usage

    def _others(self, text: str, ids: Sequence[int]) -> dict[int, Continuation]:
        """By the number of the label, how the context goes on where that is not context and label joined."""
        tail = text[-TAIL:]
        tail_ids = self._tokens.encode([tail])[0]
        if tail_ids[-IN_STEP:] == list(ids[-IN_STEP:]) and not self._differing(tail, tail_ids):
            return {}  # the usual case, without a long prompt being encoded for each label
        return self._differing(text, ids)

    def _differing(self, text: str, ids: Sequence[int]) -> dict[int, Continuation]:
        found = zip(self._continue(text), self._continuations, strict=True)
        return {
            column: joint
            for column, (joint, fitted) in enumerate(found)
            if joint.kept < len(ids) or joint.ids != fitted.ids
        }

    def _joint_score(self, ids: Sequence[int], joint: Continuation) -> float:
        """log P(context with label) - log P(context), where the tokens that both keep cancel out.

        What is taken off is the same for all labels of a text, so they compare as whole sequences of tokens do.
        """
        scorer = self._load()
        kept, changed = ids[: joint.kept], ids[joint.kept :]
        score = plain_log_scores(scorer.model, [kept], [joint.ids]).item()
        return score - plain_log_scores(scorer.model, [kept], [changed]).item() if changed else score


def _check_causal(model: ModelSpec) -> None:
    """Raises ModelError for models that see the words behind, or that answer with a decoder apart."""
    config = load_config(model)
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"model '{model.name}' is an encoder-decoder; ask it with classifier 'encoder_decoder'.")
    check_kind(AutoModelForCausalLM, model)
    if type(config) in AutoModelForMaskedLM._model_mapping and not getattr(config, "is_decoder", False):
        raise ModelError(f"model '{model.name}' fills in masks, it does not go on; ask it with classifier 'masked'.")


def _check_distinct(labels: Sequence[str], continuations: Sequence[Continuation]) -> None:
    """Raises PromptError where the tokenizer cannot tell two labels apart."""
    first: dict[Continuation, str] = {}
    for label, continuation in zip(labels, continuations, strict=True):
        other = first.setdefault(continuation, label)
        if other != label:
            raise PromptError(
                f"labels '{other}' and '{label}' are the same tokens for this model, which does not know their "
                "letters; give one of them other words under answers."
            )
