"""Numbers in figures and in words, with what bounds them: "5k", "ten thousand", "fewer than 100", "a few dozen"."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hf_transfer_kit.advisor.language.words import Token

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"  # noqa: E501
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: i for i, word in enumerate(_ONES.split())} | {word: 10 * i for i, word in enumerate(_TENS.split(), 2)}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_SUFFIXES = {"k": 10**3, "m": 10**6, "mio": 10**6, "mn": 10**6, "mil": 10**6, "b": 10**9, "bn": 10**9}
_VAGUE = {
    "few",
    "several",
    "some",
    "many",
    "couple",
    "lot",
    "handful",
    "bunch",
    "ton",
    "plenty",
    "numerous",
    "various",
}
_BELOW = {"<", "under", "below", ("fewer", "than"), ("less", "than"), ("lower", "than"), ("smaller", "than")}
_ABOVE = {">", "over", "above", "exceeding", ("more", "than"), ("larger", "than"), ("greater", "than")}
_UP_TO = {"<=", "≤", "max", "maximum", ("up", "to"), ("at", "most"), ("no", "more", "than"), ("not", "more", "than")}
_FROM = {">=", "≥", "minimum", ("at", "least"), ("no", "fewer", "than"), ("no", "less", "than")}
_BOUNDS = (("at most", _UP_TO), ("at least", _FROM), ("below", _BELOW), ("above", _ABOVE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number in the tokens `[first, last)`.

    Fields:
        value: None where it is no number: "a few dozen", "hundreds", "1,5".
        bound: "", "below", "above", "at most", "at least"; the tokens of the bound are in `[first, last)` too.
        low: lower end and `value` upper end, of "100 to 200"; None for a single number.
        in_words: it was written as "one" or "a dozen", not in figures.
    """

    first: int
    last: int
    value: float | None
    bound: str = ""
    low: float | None = None
    in_words: bool = False

    @property
    def whole(self) -> int | None:
        """A whole number that fits the words: of a range the lower end, of "fewer than 100" 99; None: none does."""
        value = self.value if self.low is None else self.low
        if value is None or value != int(value):
            return None
        return int(value) + {"below": -1, "above": 1}.get(self.bound, 0)


def quantities(tokens: Sequence[Token]) -> tuple[Quantity, ...]:
    """The numbers in `tokens`, in order, ranges joined and bounds taken in.

    Example:
        >>> from hf_transfer_kit.advisor.language.words import tokenize
        >>> [q.whole for q in quantities(tokenize("ten thousand, 1.5m, fewer than 100, a few dozen, 5 to 8"))]
        [10000, 1500000, 99, None, 5]
    """
    found: list[Quantity] = []
    at = 0
    while at < len(tokens):
        quantity = _figures(tokens, at) or _words(tokens, at) or _vague(tokens, at)
        if quantity is None:
            at += 1
        else:
            found.append(_bounded(tokens, quantity))
            at = quantity.last
    return tuple(_ranges(tokens, found))


def _figures(tokens: Sequence[Token], at: int) -> Quantity | None:
    """ "80", "5k", "2 million", "1.5m": a number token and what scales it."""
    if tokens[at].kind != "number":
        return None
    value, last = tokens[at].value, at + 1
    while last < len(tokens) and tokens[last].kind == "word":
        key = tokens[last].key
        touching = tokens[last].start == tokens[last - 1].end
        spaced = tokens[last].start == tokens[last - 1].end + 1 and key in ("k", "mio", "m", "bn")
        if key in _SCALES or (key in _SUFFIXES and (touching or spaced)):
            value = None if value is None else value * _SCALES.get(key, _SUFFIXES.get(key, 1))
            value = None if spaced and key == "m" else value  # metres or millions
            last += 1
        else:
            break
    if value is not None:
        value = round(value, 9)  # 1.1 * 1000 is 1100.0000000000002
    return Quantity(first=at, last=last, value=value if value is None or abs(value) < 1e18 else None)


def _words(tokens: Sequence[Token], at: int) -> Quantity | None:
    """ "ten thousand", "one hundred and fifty", "half a million", "a dozen", "two dozen"."""
    keys = [token.key for token in tokens[at : at + 24]]
    if keys[:2] == ["half", "a"] and len(keys) > 2 and keys[2] in _SCALES:
        return Quantity(first=at, last=at + 3, value=_SCALES[keys[2]] / 2, in_words=True)
    start = 1 if keys[0] in ("a", "an") and len(keys) > 1 and keys[1] in _SCALES else 0
    alone = keys[0] in _SCALES and tokens[at].end - tokens[at].start == len(keys[0])  # "hundred", not "hundreds"
    if not start and not alone and keys[0] not in _SMALL:
        return None
    total, group, last = 0, int(start or alone), start
    for i, key in enumerate(keys[start:], start):
        joins = (
            key == "and" and last > start and i + 1 < len(keys) and keys[i + 1] in _SMALL and keys[i - 1] in _SCALES
        )
        if key in _SMALL and (i == start or keys[i - 1] in _SCALES or keys[i - 1] == "and" or _after_tens(keys, i)):
            group += _SMALL[key]
        elif key in ("hundred", "dozen"):
            group *= _SCALES[key]
        elif key in _SCALES:
            total, group = total + group * _SCALES[key], 0
        elif not joins:
            break
        last = i + 1
    return Quantity(first=at, last=at + last, value=float(total + group), in_words=True)


def _after_tens(keys: Sequence[str], i: int) -> bool:
    """Whether "five" follows "twenty"."""
    return _SMALL.get(keys[i - 1], 0) >= 20 and 0 < _SMALL[keys[i]] < 10


def _vague(tokens: Sequence[Token], at: int) -> Quantity | None:
    """ "a few dozen", "hundreds of", "lots of": an amount that is no number."""
    last = at
    if at and tokens[at - 1].key == "how":  # "how many" asks
        return None
    while last < len(tokens) and tokens[last].key in (_VAGUE | set(_SCALES)):
        last += 1
        if last < len(tokens) - 1 and tokens[last].key == "of" and tokens[last + 1].key in (_VAGUE | set(_SCALES)):
            last += 1
    return Quantity(first=at, last=last, value=None, in_words=True) if last > at else None


def _bounded(tokens: Sequence[Token], quantity: Quantity) -> Quantity:
    """With the words before it that bound it; nothing is bounded across "about"."""
    end = quantity.first
    while end and tokens[end - 1].key in ("about", "around", "roughly", "approximately", "just", "the", "only"):
        end -= 1
    for bound, phrases in _BOUNDS:
        for phrase in phrases:
            keys = (phrase,) if isinstance(phrase, str) else phrase
            if end >= len(keys) and tuple(token.key for token in tokens[end - len(keys) : end]) == keys:
                return replace(quantity, first=end - len(keys), bound=bound)
    return quantity


def _ranges(tokens: Sequence[Token], found: Sequence[Quantity]) -> list[Quantity]:
    """`found` with "5 to 8", "100-200" and "between 5 and 8" as one quantity each."""
    joined: list[Quantity] = []
    for quantity in found:
        before = joined[-1] if joined else None
        if before and tokens[before.last].key == "±":  # "80 ± 5"
            joined[-1] = replace(before, last=quantity.last)
        elif before and before.low is None and _is_range(tokens, before, quantity):
            low, scale = before.value, tokens[quantity.last - 1].key
            if low is not None and quantity.value is not None and tokens[before.last - 1].kind == "number":
                factor = _SUFFIXES.get(scale, _SCALES.get(scale, 1))  # "5-10k" is 5k to 10k
                low *= factor if low < quantity.value / factor else 1
            joined[-1] = replace(quantity, first=before.first, low=low, bound="")
        else:
            joined.append(quantity)
    return joined


def _is_range(tokens: Sequence[Token], low: Quantity, high: Quantity) -> bool:
    """Whether only "to", "or", "-" (or "and", after "between") stands between them, the smaller one first."""
    if high.first - low.last != 1 or low.value is None or high.value is None or low.value >= high.value:
        return False
    between = tokens[low.last].key
    return between in ("to", "-", "or") or (
        between == "and" and low.first > 0 and tokens[low.first - 1].key == "between"
    )
