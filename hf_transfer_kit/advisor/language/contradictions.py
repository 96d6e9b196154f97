"""What cannot all be so, as a question to ask back."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.advisor.facts import LIMITS, TaskFacts

_WHAT = {
    "n_labelled": "labelled examples", "per_class": "labelled examples per class", "n_classes": "classes",
    "memory_gib": "GiB of memory", "input_length": "tokens", "image_size": "pixels", "max_parameters": "parameters",
    "learning_rate": "as a learning rate",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Facts that cannot all be so, or a value that cannot be: `text` asks, `replies` are what may have been meant.

    None of `facts` is set before it is answered; the answer is read as one to the first of them.
    """

    facts: tuple[str, ...]
    text: str
    replies: tuple[str, ...] = ()


def impossible(fact: str, value: Any) -> Contradiction | None:
    """The question to ask where `value` is out of the range that `TaskFacts` believes; None where it is in it.

    Example:
        >>> impossible("n_classes", 1).text
        '1 classes cannot be. How many classes are there?'
    """
    least, most = (0, 10) if fact == "learning_rate" else LIMITS.get(fact, (None, None))
    if least is None or (least <= value <= most and not (fact == "learning_rate" and value in (0, 10))):
        return None
    ask = "Which one is meant?" if fact == "learning_rate" else f"How many {_WHAT[fact]} are there?"
    return Contradiction(facts=(fact,), text=f"{value:,g} {_WHAT[fact]} cannot be. {ask}")


def two_values(fact: str, words: Collection[str]) -> Contradiction:
    """The question to ask where one message says two things of a fact."""
    said = " and ".join(f'"{each}"' for each in words)
    return Contradiction(facts=(fact,), text=f"You wrote {said}. Which one is it?", replies=tuple(words))


def between_facts(
    new: Mapping[str, Any], known: TaskFacts, asked: str | None, correcting: bool
) -> Iterator[Contradiction]:
    """Contradictions of the numbers of labels in `new` and what is known; an answer or a correction settles them."""
    if (correcting and set(new) & {"n_labelled", "per_class"}) or not set(new) & {
        "n_labelled",
        "per_class",
        "n_classes",
    }:
        return
    values = known.known | dict(new)
    if asked in ("n_labelled", "per_class") and not {"n_labelled", "per_class"} <= set(new):
        return
    total, each, classes = (values.get(name) for name in ("n_labelled", "per_class", "n_classes"))
    if total is None:
        return
    if each is not None and (total == 0) != (each == 0):
        yield Contradiction(
            facts=("n_labelled", "per_class"),
            text=f"{total:,} labelled examples and {each:,} per class cannot both be. How many are there?",
            replies=(f"{total:,} in all", f"{each:,} per class"),
        )
    elif each is not None and classes is not None and abs(total - each * classes) > 0.2 * total:
        yield Contradiction(
            facts=("n_labelled", "per_class"),
            text=f"{each:,} per class and {classes:,} classes make {each * classes:,}, not {total:,}. Which is right?",
            replies=(f"{total:,} in all", f"{each:,} per class"),
        )
    elif each is None and classes is not None and 0 < total < classes and known.n_labelled != total:
        yield Contradiction(
            facts=("n_labelled",),
            text=f"{total:,} labelled examples are fewer than {classes:,} classes. Is it {total:,} of each class?",
            replies=(f"{total:,} per class", f"{total:,} in all"),
        )


def facts_after(known: TaskFacts, new: Mapping[str, Any]) -> TaskFacts:
    """`known` with `new`; a total that no longer fits the number per class gives way to it, and the other way round.

    Example:
        >>> facts_after(TaskFacts(n_labelled=80, n_classes=6), {"per_class": 50}).labels
        300
    """
    values = known.known | dict(new)
    total, each, classes = (values.get(name) for name in ("n_labelled", "per_class", "n_classes"))
    if _clash(total, each, classes):
        values.pop("per_class" if "n_labelled" in new else "n_labelled")
    return TaskFacts(**values)


def _clash(total: int | None, each: int | None, classes: int | None) -> bool:
    """Whether the labels in all and those per class cannot both be; "about 50 per class" has a fifth of slack."""
    if total is None or each is None:
        return False
    return (total == 0) != (each == 0) or (classes is not None and abs(total - each * classes) > 0.2 * total)
