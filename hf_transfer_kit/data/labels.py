"""The classes of a data set: enough of them, enough examples of each, the same in every part."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from hf_transfer_kit.data.rows import LabelledPart
from hf_transfer_kit.errors import DataError


def drop_rare_classes(
    parts: Sequence[LabelledPart], needed: int, drop_rare: bool, notes: list[str]
) -> list[LabelledPart]:
    """`parts` without the classes of which the train part has fewer than `needed` examples; `notes` gets their names.

    Args:
        parts: the train part first.
        needed: into how many parts the train part will be split, itself included.

    Raises:
        DataError: there are such classes and `drop_rare` is off.
    """
    counts = Counter(parts[0].used_labels())
    rare = {name: count for name, count in sorted(counts.items()) if count < needed}
    if not rare:
        return list(parts)
    if not drop_rare:
        name, count = next(iter(rare.items()))
        others = f", and {len(rare) - 1} more classes have too few" if len(rare) > 1 else ""
        raise DataError(
            f"{parts[0].origin}: class '{name}' has {count} example{'s' * (count > 1)}{others}; {needed} are needed, "
            "one for each part: add examples, merge classes, or leave such classes out with --drop-rare."
        )
    notes.append(f"classes with fewer than {needed} examples left out: {_named(rare.items())}")
    kept = []
    for part in parts:
        rows = part.rows[[label not in rare for label in part.used_labels()]]
        if not len(rows):
            raise DataError(f"{part.origin}: no row is left without the rare classes; add examples of other classes.")
        kept.append(part.keep(rows))
    return kept


def label_names_of(parts: Sequence[LabelledPart], notes: list[str]) -> tuple[str, ...]:
    """Names of the classes of the train part: in the source's own order, else sorted, numbers by value.

    Raises:
        DataError: there is one class only, or another part has labels that the train part has not.
    """
    train = parts[0]
    present = set(train.used_labels())
    if len(present) < 2:
        raise DataError(
            f"{train.origin}: all rows have the label '{present.pop()}'; add examples of another class, or name "
            "another column with --label-column."
        )
    for part in parts[1:]:
        unknown = Counter(label for label in part.used_labels() if label not in present)
        if unknown:
            raise DataError(
                f"{part.origin} has labels that {train.origin} has not: {_named(unknown.most_common())}; add training "
                "examples of them, correct the names, or remove these rows."
            )
    if train.class_names is None:
        return tuple(sorted(present, key=_by_value))
    unused = [name for name in train.class_names if name not in present]
    if unused:
        notes.append(f"classes without examples left out: {', '.join(unused[:5])}{', ...' * (len(unused) > 5)}")
    return tuple(name for name in train.class_names if name in present)


def label_numbers(labels: Iterable[str | None], names: Sequence[str]) -> list[int]:
    """Place of each label in `names`; -1 for labels not among them.

    Example:
        >>> label_numbers(["b", None, "a"], ["a", "b"])
        [1, -1, 0]
    """
    number = {name: i for i, name in enumerate(names)}
    return [-1 if label is None else number.get(label, -1) for label in labels]


def _by_value(name: str) -> tuple[bool, float, str]:
    """Sorts numbers by value and before words."""
    try:
        value = float(name)
    except ValueError:
        return True, 0.0, name
    return (False, value, name) if np.isfinite(value) else (True, 0.0, name)


def _named(counts: Iterable[tuple[str, int]]) -> str:
    """Names with their counts, the first five: 'a' (3), 'b' (1)."""
    named = [f"'{name}' ({count})" for name, count in counts]
    return ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
