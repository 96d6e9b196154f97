"""How a message was read: what was left over, and remarks on numbers, typos and kinds of data that are not known."""

from collections.abc import Iterator, Sequence

from hf_transfer_kit.advisor.language.answering import YES
from hf_transfer_kit.advisor.language.claims import Claim, Match, Passage
from hf_transfer_kit.advisor.language.counting import Counted
from hf_transfer_kit.advisor.language.numbers import Quantity
from hf_transfer_kit.advisor.language.vocabulary import vocabulary
from hf_transfer_kit.advisor.language.words import Token

_FILLING = frozenset(
    """
    hello hi hey please thank thanks data dataset task problem project ok well so and or i my we want like
    would model train about each per yes no here some this that with them into also then approx approximately
    circa just only too maybe sorry class label category actually none wait oops correction meant mean
    """.split()
)


def words_of(claim: Claim | Quantity, tokens: Sequence[Token], text: str) -> str:
    """The words of the message behind a claim or a number, 60 characters at most."""
    return text[tokens[claim.first].start : tokens[claim.last - 1].end][:60]


def left_over(
    passage: Passage, found: Sequence[Match], said: Sequence[Claim], counted: Counted, text: str
) -> tuple[str, ...]:
    """The clauses of which nothing was understood, 60 characters of each, five at most."""
    read: list[Match | Claim | Quantity] = [*found, *said, *counted.vague, *counted.bare, *counted.ambiguous]
    taken = {at for each in read for at in range(each.first, each.last)}
    left, at, spoken = [], 0, vocabulary().spoken
    while at < len(passage.tokens):
        first, last = passage.clause(at)
        here = [i for i in range(first, last) if passage.tokens[i].kind != "mark"]
        words = [i for i in here if passage.keys[i] not in _FILLING | spoken["light"] | spoken["negators"] | YES]
        if words and taken.isdisjoint(here):
            left.append(text[passage.tokens[here[0]].start : passage.tokens[here[-1]].end][:60])
        at = max(last, at) + 1
    return tuple(left[:5])


def remarks(
    passage: Passage, found: Sequence[Match], counted: Counted, said: Sequence[Claim], text: str
) -> Iterator[str]:
    """How numbers, typos and unsupported kinds of data were read."""
    for each in counted.vague:
        yield f'"{words_of(each, passage.tokens, text)}" is no number that can be used; write one, "about 40" will do.'
    used = {claim.first for claim in said}
    for each in counted.bare:
        if each.first not in used:
            yield f'"{words_of(each, passage.tokens, text)}" is not used: say what it counts, "80 labelled examples".'
    for each in counted.rounded:
        yield f'"{words_of(each, passage.tokens, text)}" is read as {each.whole:,}.'
    for match in found:
        for at in range(match.first, match.last):
            key = passage.tokens[at].key
            if passage.keys[at] != vocabulary().spelling.get(key, key) and passage.tokens[at].kind == "word":
                yield f'"{key[:60]}" is read as "{passage.keys[at]}".'
    for words in sorted(vocabulary().unsupported):
        if any(passage.keys[at : at + len(words)] == words for at in range(len(passage.keys))):
            yield f"The advisor knows text, images, both together, and series; not {' '.join(words)}."
