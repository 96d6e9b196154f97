"""Whether prompts fit into a model, before any of them is run: nothing is ever cut off silently."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.classifier import Demonstration, Demonstrations, Retriever

UNKNOWN = 10**6  # tokenizers that do not know their model's context length give a number far above this

Shown = tuple[Demonstration, ...]


def demonstrations_of(inputs: Sequence[Any], demonstrations: Demonstrations | None) -> list[Shown]:
    """Of each input the demonstrations in its prompt: the same for all, or those a retriever finds."""
    if isinstance(demonstrations, Retriever):
        return demonstrations.demonstrations_for(inputs)
    return [tuple(demonstrations or ())] * len(inputs)


def context_length(tokenizer: Any) -> int | None:
    """Most tokens of a prompt, special ones included; None where the tokenizer knows no limit."""
    length = int(tokenizer.model_max_length)
    return length if length < UNKNOWN else None


def check_length(
    inputs: Sequence[Any],
    shown: Sequence[Shown],
    lengths: Sequence[int],
    limit: int | None,
    length_of: Callable[[Any, Shown], int],
    *,
    retrieved: bool = False,
) -> None:
    """Does nothing where every prompt fits.

    Args:
        inputs, shown, lengths: each input, the demonstrations in its prompt, and that prompt's tokens.
        limit: most tokens of a prompt; None: no limit.
        length_of: the tokens of a prompt with an input and demonstrations; asked only if something does not fit.
        retrieved: whether demonstrations are left out from the first on, which is the least similar, and not from the
            last on.

    Raises:
        PromptError: a prompt is too long; says how many demonstrations fit beside every input.

    Example:
        >>> shown = [(Demonstration(input="a b", label="c"),) * 3]
        >>> count = lambda text, demonstrations: len(text.split()) + 3 * len(demonstrations)
        >>> check_length(["one two"], shown, [11], 9, count)
        Traceback (most recent call last):
        hf_transfer_kit.errors.PromptError: 3 demonstrations make the prompt for 'one two' 11 tokens long, the model \
reads 9; 2 fit: --shots 2.
    """
    too_long = [i for i, length in enumerate(lengths) if limit is not None and length > limit]
    if limit is None or not too_long:
        return

    def most(i: int) -> int:
        """How many demonstrations of input `i` fit; -1: not even none."""
        cut = [shown[i][len(shown[i]) - n :] if retrieved else shown[i][:n] for n in range(len(shown[i]) + 1)]
        return bisect_right(cut, limit, key=lambda some: length_of(inputs[i], some)) - 1

    fit, i = min((most(i), i) for i in too_long)
    asked = str(inputs[i])[:40]
    if fit < 0:
        raise PromptError(
            f"the prompt for '{asked}' is {length_of(inputs[i], ())} tokens long without any demonstration, the model "
            f"reads {limit}; shorten it or the list of labels, or take a model that reads more."
        )
    way_out = f"{fit} fit: --shots {fit}." if fit else "none fits: use zero_shot."
    raise PromptError(
        f"{len(shown[i])} demonstrations make the prompt for '{asked}' {lengths[i]} tokens long, the model reads "
        f"{limit}; {way_out}"
    )
