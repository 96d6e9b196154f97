"""From prompts as text to token ids, and how the ids go on where a label's words follow.

A label is never encoded alone: SentencePiece tokenizers put a space before a lone word, and byte-level ones make other
tokens of "card" than of " card". Its ids are what the whole text has more than the prompt has.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeVar

T = TypeVar("T")

_BREAK = "\ufdd0"  # a code point that Unicode keeps out of texts; tokens never reach across it


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """How a context goes on: its first `kept` ids stay, then come `ids`, of a label's words and one end token."""

    kept: int
    ids: tuple[int, ...]


class PromptTokens:
    """Encodes prompts; what an input says is never a control token ("</s>", "<|im_end|>").

    Args:
        tokenizer: of transformers; its padding side and end tokens do not matter.
        starts: whether prompts begin with the tokenizer's start tokens; chat templates write them themselves.

    Example:
        >>> from hf_transfer_kit.models import load_tokenizer
        >>> from hf_transfer_kit.plan import ModelSpec
        >>> tokenizer = load_tokenizer(ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2"))
        >>> tokens = PromptTokens(tokenizer, starts=True)
        >>> tokenizer.decode(tokens.encode(["is it rain?"])[0])
        '[CLS] is it rain?'
        >>> tokens.continuations("is it rain?", [" no"], end=".")[0].kept
        5
    """

    def __init__(self, tokenizer: Any, *, starts: bool):
        self._tokenizer = tokenizer
        self._start = _start_ids(tokenizer) if starts else []
        self._lone = [tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id]
        control = _control_tokens(tokenizer)
        self._control = (
            re.compile("|".join(map(re.escape, sorted(control, key=len, reverse=True)))) if control else None
        )

    def as_data(self, text: str) -> str:
        """`text`, marked so that `encode` takes the names of control tokens in it for plain text."""
        text = text.replace(_BREAK, "")
        return self._control.sub(lambda found: f"{found[0][0]}{_BREAK}{found[0][1:]}", text) if self._control else text

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of whole prompts, at least one each."""
        pieces = [text.split(_BREAK) for text in texts]
        encoded = iter(self._bare([piece for each in pieces for piece in each]))
        whole = [[*self._start, *(number for _ in each for number in next(encoded))] for each in pieces]
        return [ids or self._lone for ids in whole]

    def continuations(self, context: str, words: Sequence[str], *, end: str) -> list[Continuation]:
        """How `context` goes on with each of `words`, the white space before them included.

        Of `end` one token is kept, which is enough to tell a label from a longer one that begins with it. A tokenizer
        that reads nothing in `end` (some drop line breaks) gets its end-of-text token.
        """
        own, *encoded = self.encode([context, *(context + each + tail for tail in ("", end) for each in words)])
        eos = [] if self._tokenizer.eos_token_id is None else [self._tokenizer.eos_token_id]
        continued = []
        for open_ids, ended in zip(encoded[: len(words)], encoded[len(words) :], strict=True):
            if ended[: len(open_ids)] == open_ids:
                ended = open_ids + (ended[len(open_ids) :][:1] or eos)
            kept = len(common_prefix([own, ended]))
            continued.append(Continuation(kept=kept, ids=tuple(ended[kept:])))
        return continued

    def _bare(self, texts: list[str]) -> list[list[int]]:
        """Ids without special tokens; verbose=False: lengths are checked by who asks."""
        return self._tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else []


def common_prefix(sequences: Sequence[Sequence[T]]) -> list[T]:
    """What all `sequences` begin with.

    Example:
        >>> common_prefix([[1, 2, 3], [1, 2, 4, 5]])
        [1, 2]
    """
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*sequences, strict=False))
    return [column[0] for column in alike]


def positions(tokenizer: Any, config: Any) -> int | None:
    """How many tokens a model reads at most, by its configuration and its tokenizer; None where neither says."""
    of_model: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
    of_tokenizer = tokenizer.model_max_length
    if of_model is None:
        return of_tokenizer if of_tokenizer < 1e9 else None
    return of_model if of_tokenizer >= of_model - 2 else of_tokenizer  # load_tokenizer keeps two for RoBERTa


def _start_ids(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before a text; what it puts after one would stand between prompt and label."""
    whole = tokenizer("a")["input_ids"]
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    begin = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
    return list(whole[:begin])


def _control_tokens(tokenizer: Any) -> list[str]:
    """Special tokens, and added ones that the chat template writes ("<think>"), but not its white space."""
    template = str(tokenizer.chat_template or "")
    added = tokenizer.added_tokens_decoder.values()
    names = [str(token.content) for token in added if token.special or token.content in template]
    return [name for name in names if len(name) > 1 and not name.isspace()]
