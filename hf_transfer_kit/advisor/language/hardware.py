"""Memory, cards, sizes and rates: the numbers that count neither examples nor classes."""

from collections.abc import Iterator, Sequence

from hf_transfer_kit.advisor.language.claims import EXPLICIT, GENERAL, IMPLIED, Claim, Passage
from hf_transfer_kit.advisor.language.numbers import Quantity, quantities
from hf_transfer_kit.advisor.language.vocabulary import vocabulary

UNITS = {"gb": 1.0, "gib": 1.0, "gig": 1.0, "gigabyte": 1.0, "go": 1.0, "tb": 1024.0, "mb": 1 / 1024}  # in GiB
_STORED = frozenset("disk ssd storage hdd dataset data file hard download drive space model".split())


def memory(passage: Passage, quantity: Quantity, unit: str) -> Claim | str:
    """ "16 GB" of memory, not of disk."""
    first, last = passage.clause(quantity.first)
    near = set(passage.keys[max(first, quantity.first - 3) : min(last, quantity.last + 4)])
    if (near & _STORED and not near & {"ram", "vram", "memory", "gpu"}) or quantity.value is None:
        return "disk"
    of_machine = "ram" in near and not near & {"vram", "gpu"}
    size = round(quantity.value * UNITS[unit], 3)
    return Claim(
        fact="memory_gib", value=size, first=quantity.first, last=quantity.last,
        strength=IMPLIED if of_machine else EXPLICIT,
    )  # fmt: skip


def size(passage: Passage, quantity: Quantity, after: Sequence[str]) -> Claim | str | None:
    """ "224x224", "224 by 224", "512 px": the shorter side."""
    if after[:1] and after[0] in ("px", "pixel") and quantity.whole is not None:
        return Claim(fact="image_size", value=quantity.whole, first=quantity.first, last=quantity.last)
    side, other = quantity.value or 0, (passage.tokens[quantity.last + 1].value if len(after) > 1 else None) or 0
    if after[:1] and after[0] in ("x", "by") and min(side, other) >= 8:
        return Claim(fact="image_size", value=int(min(side, other)), first=quantity.first, last=quantity.last + 2)
    at = quantity.first
    if at > 1 and passage.keys[at - 1] in ("x", "by") and passage.tokens[at - 2].kind == "number":
        return "side"
    return None


def learning_rate(passage: Passage) -> Iterator[Claim]:
    """ "learning rate 1e-3", "lr=0.001"."""
    keys = passage.keys
    for at, token in enumerate(passage.tokens):
        if token.kind != "number" or token.value is None or not 0 < token.value < 10:
            continue
        before = [
            key for key in keys[max(0, at - 5) : at] if key not in ("of", "=", "is", ":", "a", "about", "to", "at")
        ]
        if before[-1:] == ["lr"] or before[-2:] == ["learning", "rate"]:
            yield Claim(fact="learning_rate", value=token.value, first=at, last=at + 1)


def cards(passage: Passage) -> Iterator[Claim]:
    """ "one T4", "4 x A100 80GB", "RTX 3090": the kind of compute and the memory of one card."""
    known, keys, tokens = vocabulary().hardware, passage.keys, passage.tokens
    for at, key in enumerate(keys):
        if key not in known or not _is_card(passage, at):
            continue
        first = at - 1 if at and keys[at - 1] in ("rtx", "gtx", "geforce", "nvidia", "tesla", "apple", "mac") else at
        many = [
            q
            for q in quantities(tokens[:first])
            if q.last == first or (q.last == first - 1 and keys[first - 1] == "x")
        ]
        value = many[-1].value if many else 1
        start = many[-1].first if many and value is not None else first
        last = at + 2 if keys[at + 1 : at + 2] in (("ti",), ("super",)) else at + 1
        negated = start > 0 and keys[start - 1] in vocabulary().spoken["negators"]
        if negated:
            continue
        yield Claim(fact="compute", value="gpu" if value == 1 else "multi_gpu", first=start, last=last)
        if known[key] and "gb" not in keys[last : last + 3]:
            yield Claim(fact="memory_gib", value=float(known[key]), first=start, last=last, strength=GENERAL)


def _is_card(passage: Passage, at: int) -> bool:
    """Whether the word is a card: "3090" needs "RTX" or "a" before it, and "a 3090 image" is none."""
    key, before = passage.keys[at], passage.keys[at - 1] if at else ""
    if not key.isdigit():
        return key not in ("m1", "m2", "m3", "m4") or passage.keys[at + 1 : at + 2] != ("screw",)
    return before in ("rtx", "gtx", "geforce", "nvidia", "ti") or (
        before in ("a", "an", "my", "one", "single", "on", "two", "x")
    )
