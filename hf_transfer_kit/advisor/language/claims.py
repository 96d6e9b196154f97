"""What a stretch of text says of the facts, phrase by phrase, before anybody asks whether it fits together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.advisor.language.vocabulary import Entry, vocabulary
from hf_transfer_kit.advisor.language.words import Token

EXPLICIT, GENERAL, IMPLIED = 2, 1, 0
_BETWEEN = frozenset(  # what may stand between "the old data" and "gone"
    "is are was were has have been be all any longer really does do strictly from before at already of them".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`fact` is `value`, as the tokens `[first, last)` say; the stronger claim wins."""

    fact: str
    value: Any
    first: int
    last: int
    strength: int = EXPLICIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Tokens with the words they are read as, the fact that was just asked for, and whether it is a "what if"."""

    tokens: tuple[Token, ...]
    keys: tuple[str, ...]
    asked: str | None = None
    supposing: bool = False

    def clause(self, at: int) -> tuple[int, int]:
        """The tokens `[first, last)` between the breaks around `at`."""
        first = last = at
        while first > 0 and not self.tokens[first - 1].breaks:
            first -= 1
        while last < len(self.tokens) and not self.tokens[last].breaks:
            last += 1
        return first, last


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A phrase of the vocabulary that stands at the tokens `[first, last)`, with what its entries say."""

    first: int
    last: int
    entries: tuple[Entry, ...]

    @property
    def counts(self) -> bool:
        """Whether a number before it counts labelled examples."""
        return any(entry.counts for entry in self.entries)


def matches(passage: Passage) -> tuple[Match, ...]:
    """The phrases of the vocabulary in `passage`, from left to right, the longest at each place."""
    found, at = [], 0
    while at < len(passage.keys):
        match = _longest(passage, at)
        if match:
            found.append(match)
        at = match.last if match else at + 1
    return tuple(found)


def _longest(passage: Passage, at: int) -> Match | None:
    """The longest phrase at `at`; an answer to what was asked before others of its length."""
    best: list[tuple[int, Entry]] = []
    for keys, entry in vocabulary().phrases.get(passage.keys[at], ()):
        if entry.asked and entry.fact != passage.asked:
            continue
        last = _end(passage.keys, at, keys)
        if last is not None:
            best.append((last, entry))
    if not best:
        return None
    last = max(end for end, _ in best)
    entries = [entry for end, entry in best if end == last]
    answers = [entry for entry in entries if entry.asked]
    return Match(first=at, last=last, entries=tuple(answers or entries))


def _end(keys: Sequence[str], at: int, phrase: Sequence[str]) -> int | None:
    """Where `phrase`, beginning at `at`, ends; "a", "the", "my" between its words do not matter."""
    determiners = vocabulary().spoken["determiners"]
    here = at
    for i, word in enumerate(phrase):
        while i and here < len(keys) and keys[here] != word and keys[here] in determiners:
            here += 1
        if here >= len(keys) or keys[here] != word:
            return None
        here += 1
    return here


def claims(passage: Passage, found: Sequence[Match]) -> Iterator[Claim]:
    """What the phrases `found` say, negation heeded."""
    taken = {at for match in found for at in range(match.first, match.last)}
    for match in found:
        negated = _negations(passage, match, taken)
        if negated > 1:
            continue  # a double negation is not guessed at
        for entry in match.entries:
            if entry.fact and (negated or _has_cue(passage, match, entry)):
                yield from _said(entry, match, negated=bool(negated))


def _said(entry: Entry, match: Match, *, negated: bool) -> Iterator[Claim]:
    """The claims of one entry."""
    value = entry.value
    if negated:
        turned = None if not isinstance(value, bool) else not value
        value = entry.negated if entry.negated is not None else turned
    if value is None or entry.fact is None:
        return
    strength = GENERAL if entry.general and (not negated or entry.negated is not None) else EXPLICIT
    yield Claim(fact=entry.fact, value=value, first=match.first, last=match.last, strength=strength)
    if not negated:
        for fact, implied in entry.implies.items():
            yield Claim(fact=fact, value=implied, first=match.first, last=match.last, strength=IMPLIED)


def _has_cue(passage: Passage, match: Match, entry: Entry) -> bool:
    """Whether the clause has a word that the entry needs, or the fact was asked for."""
    if entry.cue is None or passage.asked == entry.fact or passage.supposing:
        return True
    first, last = passage.clause(match.first)
    around = [*passage.keys[first : match.first], *passage.keys[match.last : last]]
    return not vocabulary().cues[entry.cue].isdisjoint(around)


def _negations(passage: Passage, match: Match, taken: set[int]) -> int:
    """How many negations reach the phrase: "no GPU", "don't have any GPU", "the data is gone", "is not available"."""
    spoken, keys, tokens = vocabulary().spoken, passage.keys, passage.tokens
    count, at = 0, match.first - 1
    whole = is_negator(keys, match.first)  # "no labels" is one phrase: "no GPU and no labels" does not turn it round
    while at >= 0 and not tokens[at].breaks and not (whole and at in taken):
        if is_negator(keys, at):
            turns = not _is_answer(passage, at) and keys[at + 1] not in ("only", "just")
            count += turns and (2 if at and is_negator(keys, at - 1) else 1)
            break
        elif keys[at] not in spoken["light"] and at not in taken:
            break
        at -= 1
    return count + _denied_after(passage, match.last)


def is_negator(keys: Sequence[str], at: int) -> bool:
    """Whether the word turns what follows round."""
    return keys[at] in vocabulary().spoken["negators"] or keys[at].endswith("n't")


def _is_answer(passage: Passage, at: int) -> bool:
    """Whether "no" answers ("no it runs ...", "no we ..."), instead of turning round what follows."""
    after = passage.keys[at + 1 : at + 2]
    return passage.keys[at] == "no" and bool(after) and after[0] in ("i", "we", "it", "it's", "they", "that", "that's")


def _denied_after(passage: Passage, at: int) -> int:
    """1 for "... is gone", "... isn't available", "... is not needed" after a phrase, else 0."""
    spoken, keys = vocabulary().spoken, passage.keys
    denied, steps = 0, 0
    if keys[at : at + 1] in ((":",), ("=",)) and keys[at + 1 : at + 2] and keys[at + 1] in ("none", "no", "0", "zero"):
        return 1  # GPU: none
    while at < len(keys) and steps < 5 and not passage.tokens[at].breaks:
        if keys[at] in spoken["absent"]:
            return 1
        if denied and keys[at] in spoken["present"]:
            return 1
        if is_negator(keys, at) and (keys[at] != "no" or keys[at + 1 : at + 2] == ("longer",)):
            denied = 1
        elif keys[at] not in _BETWEEN:
            break
        at, steps = at + 1, steps + 1
    return 0
