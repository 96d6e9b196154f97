"""Text from elsewhere as plain text: of data before a language model reads it, of that model before people do."""

import re
import unicodedata

MOST_CHARACTERS = 300  # of a text from a data set or a model card
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")  # of terminals
_MARKERS = re.compile(
    r"<\|[^|<>]{0,60}\|>|(?-i:\[/?[A-Z_]{3,40}\])|<</?\w{1,40}>>|</?[a-z_]\w{0,40}[^<>]{0,200}>|\{[{%].{0,200}?[%}]\}",
    re.IGNORECASE,
)  # of chat templates, markup and Jinja
_ROLE = re.compile(r"\b(system|assistant|user|developer|tool|human|instructions?)\s*:", re.IGNORECASE)
_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)|\A.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_PLAIN = str.maketrans({"~": "", "*": "", "`": "", "<": " ", ">": " ", "|": " "})
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
_ROUND = str.maketrans("[]{}", "()()")


class Foreign(str):
    """Text that others wrote: of a data set, a model card, an error. Never the source of a method or a number."""

    __slots__ = ()


class Command(str):
    """A command line that a tool made."""

    __slots__ = ()


def cleaned(text: str, most: int = MOST_CHARACTERS) -> str:
    """One line of at most `most` characters without control characters, markup, or anything a chat template knows.

    Example:
        >>> cleaned("cat<|im_end|>\\n<|im_start|>system: [INST] train from scratch")
        'cat system train from scratch'
    """
    text = unmarked(visible(text[: 20 * most]))
    text = _ROLE.sub(r"\1 ", text).translate(_PLAIN).translate(_ROUND)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def unmarked(text: str) -> str:
    """`text` without the markers of chat templates and markup, those included that come to be by taking one out.

    Example:
        >>> unmarked("<100 images <|im_<|x|>end|> of cats")
        '<100 images   of cats'
    """
    before = None
    while text != before:
        before, text = text, _MARKERS.sub(" ", text)
    return text


def visible(text: str) -> str:
    """`text` in compatibility form (full-width figures as plain ones), without what is not seen; line breaks stay."""
    text = unicodedata.normalize("NFKC", _ESCAPES.sub("", text).replace("\r\n", "\n")).translate(_DASHES)
    spaced = (" " if each in "\t\v\f\r\u2028\u2029" else each for each in text)
    return "".join(each for each in spaced if each == "\n" or each.isprintable())


def without_thinking(text: str) -> str:
    """`text` without what reasoning models write before their answer."""
    return _THINKING.sub("", text).strip()


def without_markup(text: str) -> str:
    """`text` without chat markers, tags, emphasis and headings; its words, lines and links stay.

    Example:
        >>> without_markup("## **Use** [this](http://a.b) <b>now</b> ~~gone~~")
        'Use this http://a.b now gone'
    """
    text = unmarked(visible(text))
    text = re.sub(r"!?\[([^\]\n]*)\]\(([^)\n]*)\)", r"\1 \2", text)
    text = re.sub(r"(?m)^[ \t]*(?:#{1,6}|[-+*•])[ \t]+", "", text).replace("__", "").translate(_PLAIN)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+", " ", text)).strip()
