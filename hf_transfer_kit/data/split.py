"""Stratified splits and subsets of labelled rows, the same on every machine, with every class in every part."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]  # row numbers


def stratified_split(labels: Sequence[int], shares: Mapping[str, float], seed: int) -> tuple[Rows, dict[str, Rows]]:
    """(rows that stay, rows of each new part), ascending; each class is divided like the whole, within one row a part.

    Args:
        labels: class number of each row.
        shares: share of all rows for each new part; their sum is below 1.

    A class with at least len(shares) + 1 rows has one or more in every part. The sizes of the parts are those of the
    shares, rounded, where no class is that small.

    Example:
        >>> stay, parts = stratified_split([0, 0, 0, 0, 1, 1, 1, 1], {"test": 0.25}, seed=0)
        >>> len(stay), len(parts["test"])
        (6, 2)
    """
    rows = _shuffled_by_class(labels, seed)
    taken = dict.fromkeys(rows, 0)
    parts: dict[str, Rows] = {}
    for number, (name, share) in enumerate(shares.items()):
        later = len(shares) - number  # one row each for the parts to come, and one that stays
        room = {label: len(rows[label]) - taken[label] - later for label in rows}
        counts = _counts({label: share * len(rows[label]) for label in rows}, room)
        chosen = [rows[label][taken[label] : taken[label] + counts[label]] for label in rows]
        parts[name] = np.sort(np.concatenate(chosen))
        taken = {label: taken[label] + counts[label] for label in rows}
    return np.sort(np.concatenate([rows[label][taken[label] :] for label in rows])), parts


def stratified_order(labels: Sequence[int], seed: int) -> Rows:
    """All rows in an order of which every beginning is a stratified sample; so smaller samples lie inside larger ones.

    One row of each class comes first; any beginning at least that long then has of each class its share, within about
    one row.

    Example:
        >>> labels = [0, 0, 0, 0, 0, 0, 1, 1]
        >>> sorted(labels[row] for row in stratified_order(labels, seed=1)[:4])
        [0, 0, 0, 1]
    """
    place = np.empty(len(labels))
    for rows in _shuffled_by_class(labels, seed).values():
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
        place[rows[0]] = -1.0
    ties = np.random.default_rng([seed, len(labels)]).permutation(len(labels))  # classes of equal size take turns
    return np.lexsort((ties, place)).astype(np.int64)


def _shuffled_by_class(labels: Sequence[int], seed: int) -> dict[int, Rows]:
    """The rows of each class in random order, which does not depend on the other classes."""
    numbers = np.asarray(labels)
    return {
        int(label): np.random.default_rng([seed, int(label)]).permutation(np.flatnonzero(numbers == label))
        for label in np.unique(numbers)
    }


def _counts(quotas: Mapping[int, float], room: Mapping[int, int]) -> dict[int, int]:
    """Whole numbers next to `quotas`, by largest remainder, at least 1 and at most `room` (never below 0)."""
    counts = {label: min(max(int(quota), 1), max(room[label], 0)) for label, quota in quotas.items()}
    missing = round(sum(quotas.values())) - sum(counts.values())
    for label in sorted(quotas, key=lambda label: (int(quotas[label]) - quotas[label], label)):
        if missing > 0 and int(quotas[label]) == counts[label] < room[label]:
            counts[label] += 1
            missing -= 1
    return counts
