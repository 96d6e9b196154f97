"""A model's reply, with what has no source struck out.

- A method must be named in a tool result of the conversation, and one that the rules do not advise may not be
  recommended: a sentence that says to use it, under no condition, has it struck out.
- A number must stand in a tool result or in what the person wrote (5000 = 5,000 = 5k; 0.9 = 90 %; 90 images are not
  90 %). A value that a tool gives as a number, not in a sentence, may be rounded to two or more digits. The numbering
  of lists, "1st" and the words one to ten need no source, unless they are shares ("nine out of ten", "ten percent").
- A model's name or id must stand in one of these too; so must an address and a command. Figures inside a name that has
  a source are fine. A word with letters that are not Latin has no source.

The check reads words; it does not understand. That a number stands for what it stood for in its source is not checked.
"""

import re
from dataclasses import dataclass

from hf_transfer_kit.advisor.llm.cleaning import visible, without_markup, without_thinking
from hf_transfer_kit.advisor.llm.figures import figures
from hf_transfer_kit.advisor.llm.methods import methods_named
from hf_transfer_kit.advisor.llm.names import Named, blanked, has_source, names_in
from hf_transfer_kit.advisor.llm.sources import Sources

STRUCK_OUT = "Struck out: no source in the rules or measurements."
_FENCE = re.compile(r"(?:```|~~~)[\w+-]*\n?(.*?)(?:```|~~~|\Z)", re.DOTALL)
_NOT_LATIN = re.compile(r"\w*[^\W\d_\u0000-\u024f]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReply:
    """A reply for people.

    Fields:
        text: plain text; what has no source between ~~ and ~~, and then `STRUCK_OUT` as the last line.
        struck: what was struck out, in order.
        others: methods named without being struck out that the rules do not advise.
    """

    text: str
    struck: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether words are left."""
        return bool(re.search(r"[^\W\d_]{2}", re.sub(r"~~.*?~~", "", self.text.removesuffix(STRUCK_OUT), flags=re.S)))


def check_reply(text: str, sources: Sources) -> CheckedReply:
    """`text` as plain text, with what `sources` do not hold struck out.

    Example:
        >>> sources = Sources.of_result({"text": "Feature extraction with ResNet-50."}, advised="features")
        >>> print(check_reply("Feature extraction with ResNet-50 reaches **99 %**.", sources).text)
        Feature extraction with ResNet-50 reaches ~~99 %~~.
        Struck out: no source in the rules or measurements.
    """
    text = visible(without_thinking(text))
    plain, spans = _plain_with_code(text, sources)
    rest = plain
    for command in sorted(sources.commands, key=len, reverse=True):
        for match in re.finditer(re.escape(command), rest):
            rest = blanked(rest, [Named(start=match.start(), end=match.end(), word=command)])
    names = list(names_in(rest))
    spans += [
        (each.start, each.end) for each in names if each.kind == "command" or not has_source(each, sources.names)
    ]
    rest = blanked(rest, names)
    spans += [match.span() for match in _NOT_LATIN.finditer(rest)]
    methods = list(methods_named(rest))
    spans += [(each.start, each.end) for each in methods if _is_wrong(each.method, each.recommended, sources)]
    spans += [_with_percent(rest, each.start, each.end) for each in figures(rest) if not sources.numbers.hold(each)]
    merged = _merged(plain, spans)
    others = {
        each.method for each in methods
        if each.method != sources.advised and not any(start <= each.start < end for start, end in merged)
    }  # fmt: skip
    return CheckedReply(
        text=_marked(plain, merged), struck=tuple(plain[start:end] for start, end in merged),
        others=tuple(sorted(others)),
    )  # fmt: skip


def _is_wrong(method: str, recommended: bool, sources: Sources) -> bool:
    return method not in sources.methods or (recommended and method != sources.advised)


def _plain_with_code(text: str, sources: Sources) -> tuple[str, list[tuple[int, int]]]:
    """`text` without markup, and where it has blocks of code that no tool result has."""
    parts, spans, at, length = list[str](), list[tuple[int, int]](), 0, 0
    for fence in _FENCE.finditer(text):
        for piece, is_code in ((text[at : fence.start()], False), (fence[1], True)):
            piece = without_markup(piece)
            if not piece:
                continue
            length += len("\n") if parts else 0
            lines = [line.strip().removeprefix("$ ") for line in piece.splitlines() if line.strip()]
            if is_code and not all(line in sources.commands for line in lines):
                spans.append((length, length + len(piece)))
            parts.append(piece)
            length += len(piece)
        at = fence.end()
    last = without_markup(text[at:])
    return "\n".join([*parts, *([last] if last else [])]), spans


def _with_percent(text: str, start: int, end: int) -> tuple[int, int]:
    """The span with the sign or word of percentages that follows."""
    after = re.match(r"\s?(?:%|per ?cent(?:age points?)?)", text[end:], re.IGNORECASE)
    return start, end + (after.end() if after else 0)


def _merged(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """`spans` in order; those that overlap, or have only white space and signs between them, as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and (start <= merged[-1][1] or not re.search(r"[\w\n]", text[merged[-1][1] : start])):
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _marked(text: str, spans: list[tuple[int, int]]) -> str:
    """`text` with `spans` struck out, and the line that says so."""
    parts, at = list[str](), 0
    for start, end in spans:
        parts += [text[at:start], "~~", text[start:end], "~~"]
        at = end
    marked = "".join([*parts, text[at:]])
    return f"{marked}\n{STRUCK_OUT}" if spans else marked
