"""Texts as data: the names of control tokens in them ("[SEP]", "</s>") are read as plain characters."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hf_transfer_kit.prompting.classifier import Demonstration


def plain_text(text: Any, tokenizer: Any) -> str:
    """`text` with a space inside each name of a special token, which is then none for any tokenizer.

    To ask the tokenizer to split them is not enough: SentencePiece models have "</s>" in their vocabulary as well.

    Example:
        >>> from hf_transfer_kit.models import load_tokenizer
        >>> from hf_transfer_kit.plan import ModelSpec
        >>> plain_text("the [SEP]", load_tokenizer(ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2")))
        'the [ SEP]'
    """
    text = str(text)
    for token in tokenizer.added_tokens_decoder.values():
        if token.special and len(token.content) > 1:
            text = text.replace(token.content, f"{token.content[0]} {token.content[1:]}")
    return text


def plain_demonstrations(shown: Sequence[Demonstration], tokenizer: Any) -> tuple[Demonstration, ...]:
    """`shown` with their inputs as `plain_text`."""
    return tuple(replace(each, input=plain_text(each.input, tokenizer)) for each in shown)
