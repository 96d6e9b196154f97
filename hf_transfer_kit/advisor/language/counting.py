"""What the numbers of a passage count: labelled examples, classes, examples per class, memory, GPUs, sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_transfer_kit.advisor.language.claims import EXPLICIT, GENERAL, Claim, Match, Passage
from hf_transfer_kit.advisor.language.hardware import UNITS, cards, learning_rate, memory, size
from hf_transfer_kit.advisor.language.numbers import Quantity, quantities

_CLASSES = {"class", "category", "intent", "topic", "species", "breed", "kind", "type", "way", "emotion", "genre"}
_STOPS = {"of", "per", "in", "with", "from", "for", "on", "at", "and", "or", "to", "into", "each", "every", "about"}
_BEFORE_YEARS = {"in", "by", "since", "from", "until", "of", "summer"}
_LABELLED = {"labelled", "train", "training"}
_ELSEWHERE = frozenset(  # what a number counts that is no fact
    """
    second minute hour day week month year am pm percent dollar euro usd eur st nd rd th epoch layer step fold
    seed core thread node cpu word character people person user patient annotator colleague time page line kb
    dpi mhz ghz hz km meter metre cm mm kg degree unlabelled validation dev test testing d p point model bit
    feature column channel company customer language file folder € % £ $ old head gpu-hour h s min sec years
    fps frame question
    """.split()
)
_NAMES = frozenset(  # a number after these is a name
    """
    version python page chapter step since top level grade room number id gpt v llama release issue class part
    phase year $ € £ yolo figure table section windows ubuntu cuda torch day week question option line epoch
    iso before until
    """.split()
)
_BARE = frozenset(
    """
    about around roughly approximately maybe i have we only just it it's is there are of them in total say
    probably guess think so all no meant actually make that sorry mean i'd to the a yes now got not rather
    correction oops wait like some more or less exactly please i've change should be was wrong ca circa ~ =
    we've there's instead altogether
    """.split()
)
NUMERIC = ("n_labelled", "per_class", "n_classes", "memory_gib", "image_size", "input_length", "max_parameters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the numbers say.

    Fields:
        claims: of the facts.
        bare: numbers that count nothing named.
        vague: amounts that are no numbers: "a few dozen images".
        rounded: bounds and ranges that were read as one number.
        ambiguous: claims on n_labelled of "3 labels": three examples or three classes.
    """

    claims: tuple[Claim, ...]
    bare: tuple[Quantity, ...]
    vague: tuple[Quantity, ...]
    rounded: tuple[Quantity, ...]
    ambiguous: tuple[Claim, ...] = ()


def count(passage: Passage, found: Sequence[Match]) -> Counted:
    """What the numbers of `passage`, other than those inside the phrases `found`, say."""
    taken = {at for match in found for at in range(match.first, match.last)}
    hardware = list(cards(passage))
    taken |= {at for claim in hardware for at in range(claim.first, claim.last)}
    all_claims, bare, vague, rounded = hardware, [], [], []
    numbers = [q for q in quantities(passage.tokens) if taken.isdisjoint(range(q.first, q.last))]
    for quantity in numbers:
        said = _counts(passage, quantity, found)
        if quantity.value is None:
            if (isinstance(said, Claim) and said.fact in NUMERIC) or _is_bare(passage, quantity):
                vague.append(quantity)
        elif isinstance(said, Claim):
            all_claims.append(said)
            if (quantity.bound in ("below", "above") or quantity.low is not None) and said.fact in NUMERIC[:3]:
                rounded.append(quantity)
        elif said in (None, "?"):
            bare.append(quantity)
    all_claims += list(learning_rate(passage))
    return _separate_labels(
        Counted(claims=tuple(all_claims), bare=tuple(bare), vague=tuple(vague), rounded=tuple(rounded)), passage
    )


def _counts(passage: Passage, quantity: Quantity, found: Sequence[Match]) -> Claim | str | None:
    """The claim of one number; a word where it counts what is no fact; None where nothing says what it counts."""
    keys = passage.keys
    before = keys[quantity.first - 1] if quantity.first else ""
    after = _after(passage, quantity)
    unit = after[0] if after else ""
    if unit in UNITS:
        return memory(passage, quantity, unit)
    if unit in ("ms", "millisecond"):
        return _claim(quantity, "real_time", True)
    side = size(passage, quantity, after)
    if side is not None:
        return side
    if unit in ("param", "parameter") or after[1:2] == ["parameter"]:
        limits = quantity.bound in ("below", "at most")
        return _claim(quantity, "max_parameters", int(quantity.value or 0)) if limits else "parameters"
    if unit == "token":
        return _claim(quantity, "input_length", quantity.whole) if "total" not in after else "tokens"
    if unit in ("gpu", "tpu"):
        return _claim(quantity, "compute", "gpu" if quantity.value == 1 else "multi_gpu")
    if unit in _ELSEWHERE or before in _ELSEWHERE & {"$", "€", "£"}:
        return unit
    if (whole := quantity.whole) is None and quantity.value is not None:
        return None
    return _examples(passage, quantity, found, whole, before)


def _examples(
    passage: Passage, quantity: Quantity, found: Sequence[Match], whole: int | None, before: str
) -> Claim | str | None:
    """Labelled examples, classes, or examples per class."""
    keys, after = passage.keys, _after(passage, quantity)
    noun, explicit = _noun(passage, quantity, found)
    if "batch" in keys[max(0, quantity.first - 3) : quantity.first]:
        return "batch"
    if noun is None and (before in _NAMES or _is_year(passage, quantity, before)):
        return "name"
    if _each_class(after):
        return _claim(quantity, "per_class", whole)
    if noun == "class":
        spoken = set(keys[max(0, quantity.first - 4) : quantity.first])
        return "?" if spoken & {"gpu", "ram", "memory"} and "has" in spoken else _claim(quantity, "n_classes", whole)
    if noun in ("unlabelled", "elsewhere"):
        return noun
    if noun and keys[max(0, quantity.first - 2) : quantity.first] in (
        ("class", "of"),
        ("class", "with"),
        ("category", "with"),
        ("category", "of"),
    ):
        return _claim(quantity, "per_class", whole)
    if noun:
        if quantity.value == 1 and quantity.in_words and not explicit:
            return "one"
        return _claim(quantity, "n_labelled", whole, EXPLICIT if explicit else GENERAL)
    counted_before = any(match.counts and match.last == quantity.first - 1 for match in found)
    if before in (":", "=") and keys[quantity.first - 2] == "gpu":
        return _claim(quantity, "compute", "gpu" if quantity.value == 1 else "multi_gpu")
    if counted_before and before in (":", "="):
        return _claim(quantity, "n_labelled", whole, GENERAL)
    named = _named_before(passage, quantity)
    return _claim(quantity, named, whole) if named else None


def _claim(quantity: Quantity, fact: str, value: object, strength: int = EXPLICIT) -> Claim:
    return Claim(fact=fact, value=value, first=quantity.first, last=quantity.last, strength=strength)


def _after(passage: Passage, quantity: Quantity) -> list[str]:
    """The words after a number, to the end of its clause or the next number, that one included; seven at most."""
    words: list[str] = []
    for at in range(quantity.last, min(quantity.last + 7, len(passage.tokens))):
        if passage.tokens[at].breaks:
            break
        words.append(passage.keys[at])
        if passage.tokens[at].kind == "number":
            break
    return words


def _noun(passage: Passage, quantity: Quantity, found: Sequence[Match]) -> tuple[str | None, bool]:
    """What is counted ("class", "example", "unlabelled", "elsewhere"), and whether it was said to be labelled."""
    starts = {match.first: match for match in found}
    noun, explicit, at = None, False, quantity.last
    end = quantity.last + len(_after(passage, quantity))
    while at < end:
        key, match = passage.keys[at], starts.get(at)
        if (
            key == "of"
            and passage.keys[at + 1 : at + 2]
            and passage.keys[at + 1] in ("them", "these", "those", "which")
        ):
            noun = noun or ("example" if any(match.counts for match in found) else None)
            at += 2
            continue
        if key == "of" and quantity.value is None and at == quantity.last:
            at += 1  # hundreds of tweets
            continue
        if key == "with" and passage.keys[at + 1 : at + 2] == ("label",):
            return noun or "example", True
        if passage.tokens[at].kind == "number" or key in _STOPS:
            break
        if key in ("test", "validation", "dev", "unlabelled") or _says(match, "test_set"):
            return ("unlabelled" if key == "unlabelled" else "elsewhere"), False
        if key in _LABELLED or key == "label":
            noun, explicit = noun or "example", True
        elif key in _CLASSES and noun is None:
            return "class", False
        elif match and match.counts:
            noun = "example"
        at = match.last if match else at + 1
    return noun, explicit


def _says(match: Match | None, fact: str) -> bool:
    return match is not None and any(entry.fact == fact for entry in match.entries)


def _each_class(after: Sequence[str]) -> bool:
    """Whether "per class", "each", "of each class", "a class", "/ class", "for every category", "shot" follows."""
    if after[:1] == ["shot"]:
        return True
    for i, key in enumerate(after[:6]):
        following = [word for word in after[i + 1 : i + 4] if word not in ("the", "of", "single")]
        if key in ("per", "each", "every", "/") and following[:1] and following[0] in _CLASSES:
            return True
        if key == "each" and (len(after) == i + 1 or after[i + 1] == "for"):
            return True
        if key == "each" and following[:1] and following[0].isdigit():
            return True  # for each of the 6 classes
        if key == "a" and i == 0 and after[1:2] == ["class"]:
            return True
    return False


def _named_before(passage: Passage, quantity: Quantity) -> str | None:
    """The fact of "classes: 6", "n_classes=6", "labels: 80", "a data set of 300", where nothing follows the number."""
    keys = [key for key in passage.keys[max(0, quantity.first - 5) : quantity.first]]
    words = [
        key for key in keys if key not in ("about", "around", "roughly", "only", "just", "some", "the", "are", "n")
    ]
    if words[-1:] == ["labelled"] or words[-2:] == ["label", "for"]:
        return "n_labelled"
    if len(words) < 2 or (words[-1] not in (":", "=", "is", "of", "has", "have", "with", "contains", "size")):
        return None
    name = words[-2]
    if name in _CLASSES and words[-1] in (":", "=", "is"):
        return "n_classes"
    if name in ("label", "labelled", "example", "sample") and words[-1] in (":", "=", "is"):
        return "n_labelled"
    data = name in ("dataset", "corpus") or words[-3:-1] in (["data", "set"], ["training", "set"])
    return "n_labelled" if data else None


def _is_year(passage: Passage, quantity: Quantity, before: str) -> bool:
    """ "in 2024", "by 2025": four figures after such a word."""
    return (
        quantity.value is not None and 1900 <= quantity.value <= 2100 and quantity.last - quantity.first == 1
        and passage.tokens[quantity.first].key.isdigit() and before in _BEFORE_YEARS
    )  # fmt: skip


def _is_bare(passage: Passage, quantity: Quantity) -> bool:
    """Whether nothing but filling words stand around the number: the whole message answers with it."""
    outside = [key for i, key in enumerate(passage.keys) if not quantity.first <= i < quantity.last]
    return all(key in _BARE or passage.tokens[0].breaks or len(key) == 1 for key in outside)


def is_alone(passage: Passage, quantity: Quantity) -> bool:
    """Whether the clause of the number holds nothing that it could count."""
    first, last = passage.clause(quantity.first)
    return all(
        key in _BARE
        for i, key in enumerate(passage.keys[first:last], first)
        if not quantity.first <= i < quantity.last
    )


def _separate_labels(counted: Counted, passage: Passage) -> Counted:
    """With "3 labels" read as classes where examples were counted too, and as ambiguous where they were not."""
    few = [
        claim for claim in counted.claims
        if claim.fact == "n_labelled" and 2 <= claim.value <= 30
        and passage.keys[claim.last : claim.last + 1] == ("label",)
    ]  # fmt: skip
    others = [claim for claim in counted.claims if claim.fact in ("n_labelled", "per_class") and claim not in few]
    if not few or passage.asked == "n_labelled":
        return counted
    kept = tuple(claim for claim in counted.claims if claim not in few)
    if others or "multi" in passage.keys or "multilabel" in passage.keys:
        classes = tuple(
            Claim(fact="n_classes", value=claim.value, first=claim.first, last=claim.last) for claim in few
        )
        return Counted(claims=kept + classes, bare=counted.bare, vague=counted.vague, rounded=counted.rounded)
    return Counted(claims=kept, bare=counted.bare, vague=counted.vague, rounded=counted.rounded, ambiguous=tuple(few))
