"""The numbers that a text names, and whether a source has them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hf_transfer_kit.advisor.language.numbers import Quantity, quantities
from hf_transfer_kit.advisor.language.words import MOST_CHARACTERS, Token, tokenize

SMALL = 10  # numbers in words up to here are words: "one question", "two ways"
_PERCENT = ("%", "percent", "percentage", "pct", "percentile", "‰")
_COUNTED_OF = ("out", "in", "of", "time", "fold", "point", "epoch", "gb", "gib", "hundred", "thousand")
_NUMBERING = re.compile(r"(?m)^[ \t]*\(?[1-9][.)](?=\s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number, or both ends of a range, at `[start, end)`; no values: written in a way that is not read.

    Fields:
        percent: the values are in hundredths.
        small_word: "one" to "ten" that counts something, which needs no source.
    """

    start: int
    end: int
    values: tuple[float, ...]
    percent: bool = False
    small_word: bool = False


def figures(text: str) -> Iterator[Figure]:
    """The numbers in `text`; the numbering of lists ("1." at the start of a line) and "1st" to "9th" are none.

    Example:
        >>> [(each.values, each.percent) for each in figures("5k images, ninety percent, 10-20 %")]
        [((5000.0,), False), ((90.0,), True), ((10.0, 20.0), True)]
    """
    text = _NUMBERING.sub(lambda match: " " * len(match[0]), text)
    for start in _pieces(text):
        tokens = tokenize(text[start : start + MOST_CHARACTERS])
        for quantity in quantities(tokens):
            figure = _figure(tokens, quantity, start)
            if figure:
                yield figure


def _pieces(text: str) -> Iterator[int]:
    """Where to begin reading, for pieces as long as the tokenizer takes; no piece begins inside a word."""
    start = 0
    while start < len(text):
        yield start
        end = start + MOST_CHARACTERS
        if end >= len(text):
            return
        space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        start = space if space > start else end


def _figure(tokens: Sequence[Token], quantity: Quantity, offset: int) -> Figure | None:
    written = any(token.kind == "number" for token in tokens[quantity.first : quantity.last])
    if quantity.value is None and not written:
        return None  # "a few", "many"
    after = [token.key for token in tokens[quantity.last : quantity.last + 2]]
    ordinal = after[:1] and after[0] in ("st", "nd", "rd", "th")
    if written and ordinal and (quantity.value or 0) < SMALL:
        return None
    values = () if quantity.value is None else (*(() if quantity.low is None else (quantity.low,)), quantity.value)
    counts = not written and quantity.value is not None and 0 <= quantity.value <= SMALL
    counts = counts and not (after and after[0] in (*_PERCENT, *_COUNTED_OF))
    return Figure(
        start=offset + tokens[quantity.first].start, end=offset + tokens[quantity.last - 1].end, values=values,
        percent=bool(after) and (after[0] in _PERCENT or after == ["per", "cent"]), small_word=counts,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Numbers that sources hold.

    Fields:
        plain: written in a text.
        shares: of one, written as percentages.
        values: measured or counted, not written in a text; they may be said rounded.
    """

    plain: frozenset[float] = frozenset()
    shares: frozenset[float] = frozenset()
    values: frozenset[float] = frozenset()

    def __or__(self, other: "Numbers") -> "Numbers":
        return Numbers(
            plain=self.plain | other.plain, shares=self.shares | other.shares, values=self.values | other.values
        )  # fmt: skip

    @classmethod
    def of(cls, text: str) -> "Numbers":
        """The numbers of a text."""
        found = list(figures(text))
        return cls(
            plain=frozenset(value for each in found if not each.percent for value in each.values),
            shares=frozenset(value / 100 for each in found if each.percent for value in each.values),
        )

    def hold(self, figure: Figure) -> bool:
        """Whether every value of `figure` is here: as written; of `values`, rounded to two or more digits, too.

        0.9 and 90 % are the same; 90 images and 90 % are not.

        Example:
            >>> numbers = Numbers(values=frozenset([22_713_216.0, 0.873])) | Numbers.of("90 images, 5k")
            >>> [numbers.hold(each) for each in figures("22.7 million, 87 %, 5,000, 90 %")]
            [True, True, True, False]
        """
        if figure.small_word:
            return True
        written, values = self.plain | self.shares, self.values
        written |= {100 * share for share in self.shares}
        if figure.percent:
            written = self.shares | {value for value in self.plain if 0 <= value <= 1}
            values = frozenset(value for value in self.values if 0 <= value <= 1)
        scale = 100 if figure.percent else 1
        return bool(figure.values) and all(_is_one_of(value / scale, written, values) for value in figure.values)


def _is_one_of(value: float, written: frozenset[float], values: frozenset[float]) -> bool:
    """Whether `value` is one of `written`, or one of `values` in as many digits as it has itself, two at least."""
    digits = f"{abs(value):.11e}".partition("e")[0].replace(".", "").rstrip("0")
    places = max(len(digits), 2) - 1
    return any(f"{each:.11e}" == f"{value:.11e}" for each in written) or any(
        f"{each:.{places}e}" == f"{value:.{places}e}" for each in values
    )
