"""Chat models that answer elsewhere: Hugging Face's Inference Providers, or any OpenAI-compatible server.

Servers: vLLM, Text Generation Inference, llama.cpp, `transformers serve`, and those one pays for. The answer is one of
the labels by a JSON schema, or a letter (answer_forms.py). What was answered once is kept on disk (answer_cache.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_transfer_kit.errors import ModelError, PromptError, RemoteError
from hf_transfer_kit.features import cache_folder
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Demonstration, Demonstrations, Progress, PromptClassifier, Retriever
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.remote.answer_forms import answer_forms
from hf_transfer_kit.prompting.remote.chat import ChatRequest
from hf_transfer_kit.prompting.remote.rate_limit import Clock
from hf_transfer_kit.prompting.remote.remote_answers import Answered, RemoteAnswers
from hf_transfer_kit.prompting.remote.remote_client import BadRequest
from hf_transfer_kit.prompting.remote.spending import Spending, SpendingEstimate, estimate
from hf_transfer_kit.prompting.scores import Scores, Usage

EXAMPLES = 3  # unreadable answers shown in the details
EXAMPLE_LENGTH = 120  # characters


class RemoteClassifier(PromptClassifier):
    """Asks a remote chat model for the label of each text, one question each.

    Without a key nothing is sent. The first question goes alone, so that what is wrong for all shows at one. Answers
    are kept as they arrive: a run that stopped continues where it was; what is kept needs no key and costs nothing.
    Models that think before they answer are not supported: their answers are cut off, and count as unreadable.

    Args:
        model: with `remote`.
        prompt: its `template` and `system` are used; the form of the answer is added at the end.
        input_noun: what an input is called in the prompt.
        cache: folder of the kept answers; None: `answers` in the kit's cache.
        mode: "json", "letters", or "auto": JSON, and letters where the server refuses JSON schemas.
        spending: to share one limit of dollars among several classifiers; None: a limit of its own.
        clock: for tests.

    Raises:
        ModelError: `model` is not remote.

    Example:
        >>> remote = Remote(url="http://127.0.0.1:8000/v1")
        >>> classifier = RemoteClassifier(ModelSpec(name="Qwen/Qwen3-4B", remote=remote), load_prompt("topics.yaml"))
        >>> classifier.fit(["card_lost", "card_broken"])
        >>> classifier.estimate(["my card is gone"]).requests
        1
        >>> classifier.score(["my card is gone"]).predictions
        array([0])
    """

    runs_here = False

    def __init__(
        self,
        model: ModelSpec,
        prompt: Prompt,
        *,
        input_noun: str = "text",
        cache: Path | None = None,
        mode: str = "auto",
        spending: Spending | None = None,
        clock: Clock | None = None,
    ) -> None:
        if model.remote is None:
            raise ModelError(f"model '{model.name}' does not say where it answers; give a url or a provider: --url.")
        self._model, self._remote, self.prompt, self._noun = model, model.remote, prompt, input_noun
        self._mode, self._clock = mode, clock or Clock()
        self._answers = RemoteAnswers(
            model, model.remote, folder=cache or cache_folder() / "answers",
            spending=spending or Spending(model.remote), clock=self._clock,
        )  # fmt: skip

    def fit(self, labels: Sequence[str], demonstrations: Demonstrations | None = None) -> None:
        """Takes labels and examples; sends nothing.

        Raises:
            PromptError: a label without words of its own, a broken template, an example that is no text or has an
                unknown label. Whether the prompt is too long, only the server knows.
        """
        self.prompt.check(labels)
        self._labels, self._demonstrations = list(labels), () if demonstrations is None else demonstrations
        if not isinstance(self._demonstrations, Retriever):
            _check_texts([each.input for each in self._demonstrations])
            for unknown in {each.label for each in self._demonstrations} - set(labels):
                raise PromptError(
                    f"a demonstration has the label '{unknown}', which is none of the labels; leave it out."
                )
        self._forms = answer_forms(self._mode, self.prompt, self._labels, input_noun=self._noun)
        self._form_is_certain = False
        self._usage, self._retries, self._kept, self._with_probabilities = Usage(), 0, 0, 0
        self._unreadable: list[str] = []

    def estimate(self, inputs: Sequence[Any]) -> SpendingEstimate:
        """What `score(inputs)` will cost at most, as far as tokens can be estimated; sends nothing. After `fit`."""
        return estimate(self._answers.missing(self._requests(inputs, self._shown(inputs))), self._remote)

    def _score(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Scores:
        """The scores of `inputs`, texts; `unreadable` where an answer is none of the labels.

        Raises:
            RemoteError: no key; the key is refused; the model is unknown; no answer after several attempts; the next
                question might pass `max_dollars`. The answers got until then are kept.
            PromptError: an input is no text, or the prompt is longer than the model reads.
        """
        begin = self._clock.now()
        answered = self._answered(inputs, self._shown(inputs), on_progress)
        rows = [self._forms[0].read(answer) for answer in answered.answers]
        self._unreadable += [each.text for each, row in zip(answered.answers, rows, strict=True) if row is None]
        self._with_probabilities += sum(bool(each.first_tokens) for each in answered.answers)
        self._usage += answered.usage
        self._kept += answered.kept
        self._retries += answered.usage.requests - (len(inputs) - answered.kept)
        nothing = np.zeros(len(self._labels))
        return Scores(
            log_scores=np.array([nothing if row is None else row for row in rows]).reshape(len(rows), len(nothing)),
            label_tokens=np.ones(len(self._labels)),
            unreadable=np.array([row is None for row in rows], dtype=bool),
            usage=answered.usage + Usage(seconds=self._clock.now() - begin),
        )

    @property
    def details(self) -> dict[str, Any]:
        """Since the last `fit`: how the model was asked, and which answers were no labels."""
        return {
            "mode": self._forms[0].mode,
            "with_log_probabilities": self._with_probabilities,
            "requests": self._usage.requests,
            "retries": self._retries,
            "kept_answers": self._kept,
            "dollars": self._usage.dollars,
            "unreadable": len(self._unreadable),
            "unreadable_examples": [text[:EXAMPLE_LENGTH] for text in self._unreadable[:EXAMPLES]],
        }

    def _shown(self, inputs: Sequence[Any]) -> list[tuple[Demonstration, ...]]:
        """The examples for each input."""
        _check_texts(inputs)
        if isinstance(self._demonstrations, Retriever):
            return self._demonstrations.demonstrations_for(inputs)
        return [tuple(self._demonstrations)] * len(inputs)

    def _answered(
        self, inputs: Sequence[str], shown: Sequence[tuple[Demonstration, ...]], on_progress: Progress | None
    ) -> Answered:
        """The answers, in the first form that the server does not refuse; later inputs are asked in the same."""
        while True:
            requests = self._requests(inputs, shown)
            try:
                answered = self._answers.get(requests, on_progress)
            except BadRequest as error:
                refused = self._forms[0].is_refused_by(str(error))
                if not refused or len(self._forms) == 1:
                    way_out = "; try another mode" if refused else ""
                    message = (
                        f"model '{self._model.name}': the server refuses the question: {str(error)[:200]}{way_out}."
                    )
                    raise RemoteError(message) from None
                self._forms = self._forms[1:]
            else:
                self._form_is_certain |= len(requests) > 0
                return answered

    def _requests(self, inputs: Sequence[str], shown: Sequence[tuple[Demonstration, ...]]) -> list[ChatRequest]:
        """The questions about `inputs`; in the form in which an earlier run had answers, if one had."""
        asked = [
            [form.request(text, examples) for text, examples in zip(inputs, shown, strict=True)]
            for form in self._forms[: 1 if self._form_is_certain else None]
        ]
        for place, requests in enumerate(asked):
            if self._answers.has_some(requests):
                self._forms, self._form_is_certain = self._forms[place:], True
                return requests
        return asked[0]


def _check_texts(inputs: Sequence[Any]) -> None:
    for each in inputs:
        if not isinstance(each, str):
            raise PromptError(
                f"remote models are asked about texts; {type(each).__name__} is not supported yet: use a model that "
                "runs here."
            )
