"""The forms in which a remote model can be asked for one of the labels, and how its answer is read.

- JSON: the server lets the model write nothing but {"label": one of the labels} (structured output by a JSON schema).
- Letters: the labels are lettered, the answer is one token, whose log-probabilities are scores of all labels where the
  server gives them. More than 26 labels are numbered; a number can be several tokens, so it has no log-probabilities.

Where a model only names its choice, the scores are a smoothed distribution: `CONFIDENCE` on the choice, the rest in
equal shares on the other labels.
"""

import json
import math
import re
import string
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from hf_transfer_kit.errors import PromptError, did_you_mean
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.prompts import Prompt, with_answers
from hf_transfer_kit.prompting.remote.chat import Answer, ChatRequest

MODES = ("auto", "json", "letters")
CONFIDENCE = 0.9  # of a choice without probabilities
SMALLEST = 1e-9  # probability of a label that was not among the most probable tokens, at least
REFUSED = ("refusal", "content_filter")  # finish reasons
KEY_TOKENS = 8  # most tokens of an answer that is a letter or a number: some models begin with white space


class AnswerForm(ABC):
    """Questions about `labels` in one form.

    Attributes:
        mode: "json" or "letters".
        needs: what of the request a server may refuse, as a pattern of its error texts; None: nothing.
    """

    mode: ClassVar[str]
    needs: re.Pattern[str] | None

    @abstractmethod
    def request(self, input: str, demonstrations: Sequence[Demonstration] = ()) -> ChatRequest:
        """The question about one input."""

    @abstractmethod
    def read(self, answer: Answer) -> np.ndarray | None:
        """(labels,): log-scores; None where the answer is not one of the labels."""

    def is_refused_by(self, text: str) -> bool:
        """Whether a server's error text says that it does not support this form."""
        return self.needs is not None and self.needs.search(text) is not None


class JsonForm(AnswerForm):
    """The answer is constrained by a JSON schema with the words of the labels as an enum."""

    mode = "json"
    needs = re.compile(r"response_?format|json_?schema|structured|guided|grammar", re.IGNORECASE)

    def __init__(self, prompt: Prompt, labels: Sequence[str], *, input_noun: str) -> None:
        self._prompt, self._labels, self._noun = prompt, labels, input_noun
        self._words = [prompt.words(label) for label in labels]
        choices = {"type": "string", "enum": self._words}
        self._schema = {
            "type": "object", "properties": {"label": choices}, "required": ["label"], "additionalProperties": False,
        }  # fmt: skip
        self._order = 'Answer with JSON: {"label": "..."}'
        if not _lists_labels(prompt, labels, input_noun):
            self._order += ", with one of: " + ", ".join(map(_quoted, self._words))
        # A token stands for a byte at least, and JSON may have white space.
        self._max_tokens = 24 + max(len(_quoted(words).encode(errors="replace")) for words in self._words)

    def request(self, input: str, demonstrations: Sequence[Demonstration] = ()) -> ChatRequest:
        text = self._prompt.render(input, self._labels, demonstrations, input_noun=self._noun)
        return ChatRequest(
            user=f"{text}\n\n{self._order}", system=self._prompt.system, max_tokens=self._max_tokens,
            schema=self._schema,
        )  # fmt: skip

    def read(self, answer: Answer) -> np.ndarray | None:
        if answer.finish_reason in ("length", *REFUSED):
            return None  # cut off, "card" may be the beginning of "card lost"
        text = _bare(answer.text)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text  # a server that knows no schemas lets the model write the label alone
        if isinstance(value, dict):
            value = value.get("label")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # labels may be numbers
        return _scores_of_choice(_position(value, self._words), len(self._words))


class LetterForm(AnswerForm):
    """The labels are lettered A to Z in the prompt, or numbered, and the model answers with a letter."""

    mode = "letters"

    def __init__(self, prompt: Prompt, labels: Sequence[str], *, input_noun: str, top_logprobs: int) -> None:
        lettered = len(labels) <= len(string.ascii_uppercase)
        self._keys = list(string.ascii_uppercase[: len(labels)] if lettered else map(str, range(1, len(labels) + 1)))
        options = [f"{key}) {prompt.words(label)}" for key, label in zip(self._keys, labels, strict=True)]
        self._prompt = with_answers(prompt, dict(zip(labels, options, strict=True)))
        self._labels, self._noun, self._top_logprobs = labels, input_noun, top_logprobs
        noun = "letter" if lettered else "number"
        self._order = f"Answer with its {noun} alone."
        if not _lists_labels(prompt, labels, input_noun):
            self._order = "\n".join([f"Answer with the {noun} of one of these alone:", *options])
        self.needs = re.compile("log_?prob", re.IGNORECASE) if top_logprobs else None

    def request(self, input: str, demonstrations: Sequence[Demonstration] = ()) -> ChatRequest:
        text = self._prompt.render(input, self._labels, demonstrations, input_noun=self._noun)
        return ChatRequest(
            user=f"{text}\n\n{self._order}", system=self._prompt.system, max_tokens=KEY_TOKENS,
            top_logprobs=self._top_logprobs,
        )  # fmt: skip

    def read(self, answer: Answer) -> np.ndarray | None:
        start = re.match(r"\(?([a-z]|[0-9]+)(?=[).:]|$)", _bare(answer.text), re.IGNORECASE)
        if answer.finish_reason in REFUSED or start is None or start[1].upper() not in self._keys:
            return None
        choice = self._keys.index(start[1].upper())
        scores = self._scores_of_tokens(answer)
        if scores is None or np.argmax(scores) != choice:
            return _scores_of_choice(choice, len(self._keys))
        return scores

    def _scores_of_tokens(self, answer: Answer) -> np.ndarray | None:
        """(labels,): log-probabilities of the letters as first token; others get the most the list leaves them."""
        if not answer.first_tokens:
            return None
        scores = np.full(len(self._keys), -np.inf)
        for each in answer.first_tokens:
            token = each.token.strip().upper()
            if token in self._keys:
                place = self._keys.index(token)
                scores[place] = np.logaddexp(scores[place], each.log_probability)
        seen = [each.log_probability for each in answer.first_tokens]
        left = math.log(max(1 - sum(map(math.exp, seen)), SMALLEST))
        scores[np.isneginf(scores)] = max(min(left, *seen), math.log(SMALLEST))
        return scores


def answer_forms(mode: str, prompt: Prompt, labels: Sequence[str], *, input_noun: str) -> list[AnswerForm]:
    """The forms to try, one after the other, until the server takes one.

    Args:
        mode: "json", "letters", or "auto" for both in this order.

    Raises:
        PromptError: there is no such mode.
    """
    if mode not in MODES:
        raise PromptError(f"mode='{mode}' of a remote model is unknown; {did_you_mean(mode, MODES)}")
    forms: list[AnswerForm] = []
    if mode != "letters":
        forms.append(JsonForm(prompt, labels, input_noun=input_noun))
    if mode != "json":
        # 20 is the most of OpenAI and vLLM, 5 that of Text Generation Inference; numbers are not single tokens.
        counts = (20, 5, 0) if len(labels) <= len(string.ascii_uppercase) else (0,)
        forms += [LetterForm(prompt, labels, input_noun=input_noun, top_logprobs=count) for count in counts]
    return forms


def _lists_labels(prompt: Prompt, labels: Sequence[str], input_noun: str) -> bool:
    """Whether the template itself shows every label."""
    marks = [f"\u3016{i}\u3017" for i in range(len(labels))]
    marked = with_answers(prompt, dict(zip(labels, marks, strict=True)))
    text = marked.render("", labels, input_noun=input_noun)
    return all(mark in text for mark in marks)


def _quoted(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)


def _bare(text: str) -> str:
    """Without white space around it, and without a code fence."""
    fenced = re.fullmatch(r"```\w*\s(.*?)```", text.strip(), re.DOTALL)
    return (fenced[1] if fenced else text).strip()


def _position(value: object, words: Sequence[str]) -> int | None:
    """Where `value` stands among `words`: as it is, else in whatever case, if that leaves one."""
    if not isinstance(value, str):
        return None
    value = value.strip()
    if value in words:
        return words.index(value)
    same = [place for place, each in enumerate(words) if each.casefold() == value.casefold()]
    return same[0] if len(same) == 1 else None


def _scores_of_choice(choice: int | None, labels: int) -> np.ndarray | None:
    """(labels,): the smoothed distribution of a choice; None of none."""
    if choice is None:
        return None
    if labels == 1:
        return np.zeros(1)
    scores = np.full(labels, math.log((1 - CONFIDENCE) / (labels - 1)))
    scores[choice] = math.log(CONFIDENCE)
    return scores
