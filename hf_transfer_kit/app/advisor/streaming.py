"""An answer that appears piece by piece: sentences, the quick replies last."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence

from hf_transfer_kit.app.advisor.advising import Message

MOST_PIECES = 10
SECONDS = 0.03  # between two pieces; a whole answer takes a third of a second
_END = re.compile(r"(?<=[.!?:])\s+(?=\S)|\n")


def pieces(text: str) -> list[str]:
    """`text` in at most `MOST_PIECES` parts, each of whole sentences or lines; together they are `text`.

    Example:
        >>> pieces("Advice: features.\\nWhy: few labels. How many?")
        ['Advice: ', 'features.\\n', 'Why: ', 'few labels. ', 'How many?']
    """
    ends = [found.end() for found in _END.finditer(text)]
    starts = [0, *(end for end in ends if end < len(text))]
    sentences = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    together = -(-len(sentences) // MOST_PIECES)
    return ["".join(sentences[i : i + together]) for i in range(0, len(sentences), together)]


def growing(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """The chat again and again, its last message longer each time; at the end as it is, with the quick replies."""
    before = [{key: value for key, value in each.items() if key != "options"} for each in messages]
    text = ""
    for piece in pieces(str(messages[-1]["content"]))[:-1]:
        text += piece
        yield [*before[:-1], before[-1] | {"content": text}]
    yield list(messages)


async def streamed(messages: Sequence[Message], seconds: float = SECONDS) -> AsyncIterator[list[Message]]:
    """As `growing`, the first at once, with a pause after each that holds up nobody else."""
    for number, each in enumerate(growing(messages)):
        if number:
            await asyncio.sleep(seconds)
        yield each
