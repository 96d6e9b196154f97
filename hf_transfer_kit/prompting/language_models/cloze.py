"""A prompt with a gap, as tokens: which of them are the words in the gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.language_models.plain_text import plain_demonstrations, plain_text
from hf_transfer_kit.prompting.prompts import MASK, Prompt

PRIVATE_USE = range(0xE000, 0xF900)  # characters without a meaning in Unicode


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloze:
    """A filled-in cloze: `tokens` of the whole prompt, and in which `places` the words of the gap are."""

    tokens: list[int]
    places: list[int]

    @property
    def words(self) -> list[int]:
        """The tokens in the gap."""
        return [self.tokens[place] for place in self.places]


class Clozes:
    """Fills words into the place of `{{ mask }}` and finds their tokens there.

    The words are cut into tokens as part of the sentence, with the space before them, and become masks afterwards. So
    nothing depends on how a tokenizer treats white space around mask tokens.

    Args:
        tokenizer: a fast one, which says where in the text each token comes from.

    Example:
        >>> from hf_transfer_kit.models import load_tokenizer
        >>> from hf_transfer_kit.plan import ModelSpec
        >>> tokenizer = load_tokenizer(ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2"))
        >>> prompt = Prompt(name="mine", template="{{ input }} It was {{ mask }}.")
        >>> cloze = Clozes(tokenizer, prompt, ["good", "bad"]).of("Never again.", (), "bad")
        >>> tokenizer.decode(cloze.tokens), tokenizer.decode(cloze.words)
        ('[CLS] never again. it was bad. [SEP]', 'bad')
    """

    def __init__(self, tokenizer: Any, prompt: Prompt, labels: Sequence[str], *, input_noun: str = "text"):
        self._tokenizer, self._prompt, self._labels, self._input_noun = tokenizer, prompt, list(labels), input_noun

    def of(self, input: Any, shown: Sequence[Demonstration], words: str) -> Cloze:
        """The prompt of `input` behind the demonstrations `shown`, with `words` in the gap.

        Raises:
            PromptError: the template has no gap, or several; the tokenizer has no token for the words, or joins them
                with what stands beside them.
        """
        before, after = self._around_gap(
            plain_text(input, self._tokenizer), plain_demonstrations(shown, self._tokenizer)
        )
        text, start, end = before + words + after, len(before), len(before) + len(words)
        encoding = self._tokenizer(text, return_offsets_mapping=True, verbose=False)
        spans = encoding["offset_mapping"]
        places = [i for i, (first, last) in enumerate(spans) if first < end and last > start]
        if not places:
            raise PromptError(f"prompt '{self._prompt.name}': the model has no token for the words '{words}'.")
        if text[spans[places[0]][0] : start].strip() or text[end : spans[places[-1]][1]].strip():
            raise PromptError(self.not_apart(words))
        return Cloze(tokens=list(encoding["input_ids"]), places=places)

    def not_apart(self, words: str) -> str:
        """The message for words whose tokens depend on what stands beside them."""
        return (
            f"prompt '{self._prompt.name}': '{words}' in the place of the mask grows together with what stands beside "
            f"it; put a space before and after {MASK}."
        )

    def _around_gap(self, input: Any, shown: Sequence[Demonstration]) -> tuple[str, str]:
        """The prompt before and after the gap, found by a character that stands nowhere else in it."""
        without = self._prompt.render(input, self._labels, shown, input_noun=self._input_noun)
        mark = next(chr(code) for code in PRIVATE_USE if chr(code) not in without)
        parts = self._prompt.render(input, self._labels, shown, input_noun=self._input_noun, mask=mark).split(mark)
        if len(parts) != 2:
            raise PromptError(
                f"prompt '{self._prompt.name}' has {len(parts) - 1} places for an answer; a masked model needs "
                f"{MASK} once in the template."
            )
        return parts[0], parts[1]
