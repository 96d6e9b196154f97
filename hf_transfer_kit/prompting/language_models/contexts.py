"""What a model reads for each input: the prompt with its demonstrations, in its frame; and whether it fits."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hf_transfer_kit.prompting.classifier import Demonstration, Demonstrations, Retriever
from hf_transfer_kit.prompting.language_models.context_length import Shown, check_length, demonstrations_of
from hf_transfer_kit.prompting.language_models.frames import Frame
from hf_transfer_kit.prompting.language_models.tokens import PromptTokens, common_prefix
from hf_transfer_kit.prompting.prompts import Prompt

PROBES = ("a", "Zoe", "7", "(", "é")  # inputs that begin differently, to find what all contexts have in common


class Contexts:
    """Makes contexts, as text and as token ids.

    Args:
        prompt, labels, input_noun: what is rendered.
        demonstrations: the same for all inputs, or retrieved for each.
        frame: what stands around the rendered prompt.
        tokens: of the model.
    """

    def __init__(
        self, prompt: Prompt, labels: Sequence[str], demonstrations: Demonstrations | None, *, input_noun: str,
        frame: Frame, tokens: PromptTokens,
    ):  # fmt: skip
        self._prompt, self._labels, self._input_noun = prompt, labels, input_noun
        self._demonstrations, self._frame, self._tokens = demonstrations, frame, tokens

    @property
    def retrieved(self) -> bool:
        """Whether each input has its own demonstrations."""
        return isinstance(self._demonstrations, Retriever)

    def shown(self, inputs: Sequence[Any]) -> list[Shown]:
        """The demonstrations of each input."""
        return demonstrations_of(inputs, self._demonstrations)

    def text(self, input: str, shown: Shown) -> str:
        """The whole context of an input."""
        shown = tuple(replace(each, input=self._tokens.as_data(each.input)) for each in shown)
        as_data = self._tokens.as_data(input)
        return self._frame.wrap(self._prompt.render(as_data, self._labels, shown, input_noun=self._input_noun))

    def probes(self) -> list[str]:
        """Contexts that differ wherever those of two inputs may; retrieved demonstrations may all be others."""
        if not self.retrieved:
            return [self.text(probe, self.shown([probe])[0]) for probe in PROBES]
        labels = [self._labels[number % len(self._labels)] for number in range(len(PROBES))]
        return [
            self.text(probe, (Demonstration(input=probe, label=label),))
            for probe, label in zip(PROBES, labels, strict=True)
        ]

    def sample(self) -> str:
        """The longest input known before there are any: that of a demonstration."""
        return max((each.input for each in self.shown(PROBES[:1])[0]), key=len, default=PROBES[0])

    def check_lengths(
        self,
        inputs: Sequence[str],
        shown: Sequence[Shown],
        encoded: Sequence[Sequence[int]],
        *,
        longest_label: int,
        limit: int | None,
    ) -> None:
        """Raises PromptError where a context and a label behind it have more tokens than the model reads."""

        def length_of(input: str, shown: Shown) -> int:
            return len(self._tokens.encode([self.text(input, shown)])[0]) + longest_label

        lengths = [len(each) + longest_label for each in encoded]
        check_length(inputs, shown, lengths, limit, length_of, retrieved=self.retrieved)


def common_end(texts: Sequence[str]) -> str:
    """The characters with which all `texts` end.

    Example:
        >>> common_end(["rain. Topic:", "sun! Topic:"])
        ' Topic:'
    """
    return "".join(common_prefix([text[::-1] for text in texts]))[::-1]
