"""Text to tokens; every token remembers where it stood, so that what was understood can show its words."""

import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

MOST_CHARACTERS = 4000
_TOKEN = re.compile(
    r"""(?P<bad>\d+(?:,\d{1,2}|\.\d+\.\d+)(?!\d)  # 1,5 and 3.11.2: a decimal comma, a version: not guessed at
          |\d+(?:\.\d+)?(?:e[-+]?|\^)\d{3,})  # 1e999: beyond all numbers
      | (?P<number>(?:(?<![\w.)-])-)?(?:\d{1,3}(?:[,'\ ]\d{3})+(?!\d)|\d+)
          (?:\.\d+)?(?:e[-+]?\d{1,2}(?!\w))?(?:\^\d{1,2})?)
      | (?P<times>(?<=\d)[x\u00d7](?=\s?(?:\d|[a-z]\w*\d)))
      | (?P<word>w/o\b|[^\W\d_](?:[^\W_]|'(?=[^\W_]))*)
      | (?P<mark>[<>]=?|[≤≥]|\n|[^\s\w'`*_#-]|(?<=\d)-(?=\d)|(?<=\d[km])-(?=\d)|(?<!\w)-(?!\w))""",
    re.VERBOSE,
)
_TAG = re.compile(r"</?[a-z][^<>]{0,200}>")
_MARKUP = re.compile(r"(?<!\d)\*|\*(?!\d)|[`#~]|(?<!\w)_|_(?!\w)")
_SAME = str.maketrans(
    {
        "\u2019": "'",
        "\u2018": "'",
        "\u2013": "-",
        "\u2014": "-",
        "\u2011": "-",
        "\u2212": "-",
        "\r": " ",
        "\t": " ",
        "\u00a0": " ",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A word, number or mark: `key` is how it is looked up (lower case, singular), `text[start:end]` as written."""

    kind: str
    key: str
    start: int
    end: int
    value: float | None = None

    @property
    def breaks(self) -> bool:
        """Whether a clause ends here: no negation and no count reaches over it."""
        return (self.kind == "mark" and self.key in ".,;:!?()[]{}\n-…|") or self.key in ("but", "however", "although")


def tidy(text: str) -> str:
    """`text` in lower case, with plain quotes, dashes and digits, without markup; every character stays in its place.

    Example:
        >>> tidy("**80** X-rays")
        '  80   x-rays'
    """
    plain = "".join(_plain(character) for character in text[:MOST_CHARACTERS])
    plain = _TAG.sub(lambda tag: " " * len(tag[0]), plain.translate(_SAME))
    return _MARKUP.sub(" ", plain)


def _plain(character: str) -> str:
    """The lower-case letter or the ASCII digit, where that is one character."""
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    lower = character.lower()
    return lower if len(lower) == 1 else character


def tokenize(text: str) -> tuple[Token, ...]:
    """The tokens of `tidy(text)`, in order.

    Example:
        >>> [token.key for token in tokenize("5k X-rays, no GPUs!")]
        ['5', 'k', 'x', 'ray', ',', 'no', 'gpu', '!']
    """
    found = []
    for match in _TOKEN.finditer(tidy(text)):
        kind, word = str(match.lastgroup), match[0]
        value = _value(word) if kind == "number" else None
        key = singular(word) if kind == "word" else word
        key, kind = ("x", "word") if kind == "times" else ("without", "word") if key == "w/o" else (key, kind)
        kind = "number" if kind == "bad" else kind
        found.append(Token(kind=kind, key=key, start=match.start(), end=match.end(), value=value))
    return tuple(found)


def _value(word: str) -> float | None:
    """The number written; None where it is none that can be (1e999, 10^99)."""
    base, _, power = word.replace(",", "").replace("'", "").replace(" ", "").partition("^")
    value = float(base) ** int(power) if power else float(base)
    return value if abs(value) < 1e18 else None


@cache
def singular(word: str) -> str:
    """`word` without a plural s, as vocabulary and text are both compared.

    Example:
        >>> [singular(word) for word in ("classes", "categories", "gpus", "class", "analysis")]
        ['class', 'category', 'gpu', 'class', 'analysis']
    """
    if len(word) > 2 and word[-1] == "s" and (word[-2].isdigit() or word[:-1] in ("gpu", "cpu", "tpu")):
        return word[:-1]  # two T4s
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is", "'s")):
        return word.removesuffix("'s")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + ("ies" if word in ("series", "species") else "y")
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes")) else word[:-1]


@cache
def corrected(word: str, vocabulary: frozenset[str], common: frozenset[str]) -> str:
    """The word of the vocabulary that `word` is a typo of; `word` itself where none, or more than one, is near.

    Conservative: five letters at least, the same first letter, a ratio of 0.84 (one letter of six or two swapped), one
    candidate alone; a common English word is never taken for a typo.
    """
    if len(word) < 5 or len(word) > 30 or word in vocabulary or word in common or not word.isalpha():
        return word
    near = [
        each
        for each in get_close_matches(word, vocabulary, n=3, cutoff=0.84)
        if each[0] == word[0] and abs(len(each) - len(word)) < 2
    ]
    return near[0] if len(near) == 1 and len(near[0]) >= 5 else word
