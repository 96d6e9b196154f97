"""What a short message says to the question just asked and to what is known, and which language is spoken of."""

from collections.abc import Iterator, Sequence
from typing import get_type_hints

from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.language.claims import Claim, Passage, is_negator
from hf_transfer_kit.advisor.language.counting import NUMERIC, Counted, is_alone
from hf_transfer_kit.advisor.language.numbers import Quantity
from hf_transfer_kit.advisor.language.vocabulary import vocabulary

YES = frozenset("yes yep yeah yup sure y correct right true definitely absolutely certainly".split())
_NO = frozenset("no nope nah n false never".split())
_BOOLEAN = {name for name, hint in get_type_hints(TaskFacts).items() if hint == bool | None}


def answers(
    passage: Passage, counted: Counted, said: Sequence[Claim], correction: int | None, known: TaskFacts
) -> Iterator[Claim]:
    """What "80", "yes", "multi_gpu" say to the question just asked, and "no, I meant 300" to what is known."""
    asked, keys = passage.asked, passage.keys
    lone = [each for each in counted.bare if is_alone(passage, each)]
    if len(lone) == 1:
        numbers = [name for name in ("n_labelled", "per_class", "n_classes") if getattr(known, name) is not None]
        target = asked if asked in NUMERIC else numbers[0] if correction is not None and len(numbers) == 1 else None
        value = lone[0].value if target == "memory_gib" else lone[0].whole
        if target and value is not None:
            yield Claim(fact=target, value=value, first=lone[0].first, last=lone[0].last)
    if asked is None or any(claim.fact == asked for claim in said):
        return
    answer = next((at for at, token in enumerate(passage.tokens) if token.kind != "mark"), None)
    if (
        asked in _BOOLEAN
        and answer is not None
        and (keys[answer] in YES or (keys[answer] in _NO and correction is None))
    ):
        yield Claim(fact=asked, value=keys[answer] in YES, first=answer, last=answer + 1)
    if asked in _BOOLEAN and keys and keys[0] == "no" and correction == 0 and not _restates(passage, lone):
        yield Claim(fact=asked, value=False, first=0, last=1)


def _restates(passage: Passage, lone: Sequence[Quantity]) -> bool:
    """Whether "no, ..." goes on with a correction instead of answering."""
    return bool(lone) or not vocabulary().spoken["corrections"].isdisjoint(passage.keys)


def languages(passage: Passage, said: Sequence[Claim], known: TaskFacts) -> list[Claim]:
    """The language named, where it is texts that are spoken of: "German tweets", not "German shepherds"."""
    modality = {claim.value for claim in said if claim.fact == "modality"} or {known.modality}
    if passage.asked != "language" and (modality & {"image", "series"} or modality == {None}):
        return []
    named, keys = vocabulary().languages, passage.keys
    places = [
        at for at, key in enumerate(keys)
        if key in named and passage.tokens[at].key == key
        and not any(is_negator(keys, i) for i in range(max(0, at - 2), at))
    ]  # fmt: skip
    if not places:
        return []
    spoken = {named[keys[at]] for at in places}
    value = spoken.pop() if len(spoken) == 1 else "mul"  # ISO 639-2: several
    return [Claim(fact="language", value=value, first=places[0], last=places[-1] + 1)]
