"""The memory: which old rows are kept for replay, and which of them a batch gets.

uniform          all are equally likely
class_balanced   first a class, all equally likely, then one of its rows
reservoir        a uniform sample of a stream of unknown length (Vitter 1985, algorithm R), drawn uniformly
herding          the rows whose mean feature stays nearest to that of their class (iCaRL, Rebuffi et al. 2017,
                 arXiv:1611.07725, algorithm 4), drawn uniformly
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from hf_transfer_kit.callbacks.replaying.content import each_row
from hf_transfer_kit.errors import DataError
from hf_transfer_kit.examples import dataset_of, is_map_style
from hf_transfer_kit.isolation import undisturbed_randomness

SAMPLERS = ("uniform", "class_balanced", "reservoir", "herding")
USUAL_ROWS = 1000  # kept where not all are
READ_PER_ROW = 100  # of a stream that may never end: this many rows at most for each one kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Old rows, by their position in the memory.

    Fields:
        rows: what gives a row of the old data by its position there.
        positions: those that are kept.
        classes: positions in the memory, class by class, where draws are balanced; else empty.
    """

    rows: Any
    positions: Sequence[int] | np.ndarray
    classes: tuple[np.ndarray, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, position: int) -> Any:
        return self.rows[int(self.positions[position])]

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))

    def draw(self, count: int, random: np.random.Generator) -> list[int]:
        """`count` different positions in the memory; all of them where it has fewer."""
        if not self.classes:
            return random.choice(len(self), min(count, len(self)), replace=False).tolist()
        sizes = np.array([len(rows) for rows in self.classes])
        taken = np.zeros_like(sizes)
        for _ in range(min(count, int(sizes.sum()))):
            taken[random.choice(np.flatnonzero(taken < sizes))] += 1
        drawn = [random.choice(rows, some, replace=False) for rows, some in zip(self.classes, taken, strict=True)]
        return np.concatenate(drawn).tolist()


def remember(
    data: Any, sampler: str, most: int | None, seed: int, features: Callable[[Any], np.ndarray],
    positions: torch.Tensor | None = None,
) -> Memory:  # fmt: skip
    """The memory of `data`.

    Args:
        data: map-style, iterable, or a DataLoader around either.
        most: rows kept; None keeps all of map-style data under uniform and class_balanced, else `USUAL_ROWS`.
        seed: of the choice of rows; an iterable that gives the same rows gives the same memory.
        features: the features (rows, width) of a map-style data set; asked for under herding.
        positions: what an earlier call chose by herding.

    Raises:
        DataError: there are no rows, no labels to balance, or herding is asked of an iterable.
    """
    dataset, streamed, random = dataset_of(data), is_stream(data), np.random.default_rng([seed, 0])
    if streamed and sampler == "herding":
        raise DataError("herding reads old rows by their position; pass a map-style data set, or use 'reservoir'.")
    if streamed:
        with undisturbed_randomness():
            dataset = reservoir(dataset, most or USUAL_ROWS, random)
    if not len(dataset):
        raise DataError("Replay: the old data is empty, so there is nothing to replay; pass examples of the old task.")
    if positions is not None:
        return Memory(rows=dataset, positions=positions.numpy())
    everything = streamed or (most is None and sampler in ("uniform", "class_balanced"))
    size = len(dataset) if everything else min(most or USUAL_ROWS, len(dataset))
    if sampler in ("uniform", "reservoir"):
        return Memory(rows=dataset, positions=_some(range(len(dataset)), size, random))
    groups = _classes(dataset, sampler)
    shares = fair_shares([len(group) for group in groups], size)
    if sampler == "herding":
        values = features(dataset)
        chosen = [group[herd(values[group], share)] for group, share in zip(groups, shares, strict=True)]
        return Memory(rows=dataset, positions=np.concatenate(chosen))
    chosen = [np.asarray(_some(group, share, random)) for group, share in zip(groups, shares, strict=True)]
    ends = np.cumsum(shares)
    classes = tuple(np.arange(end - share, end) for end, share in zip(ends, shares, strict=True) if share)
    return Memory(rows=dataset, positions=np.concatenate(chosen), classes=classes)


def is_stream(data: Any) -> bool:
    """Whether old data can only be iterated over."""
    return not is_map_style(dataset_of(data))


def reservoir(stream: Iterable[Any], most: int, random: np.random.Generator) -> list[Any]:
    """`most` rows of `stream`, each set of them equally likely; at most `READ_PER_ROW` x `most` rows are read."""
    kept: list[Any] = []
    for seen, row in enumerate(itertools.islice(stream, READ_PER_ROW * most)):
        if seen < most:
            kept.append(row)
        elif (place := int(random.integers(seen + 1))) < most:
            kept[place] = row
    return kept


def herd(features: np.ndarray, count: int) -> np.ndarray:
    """`count` rows in the order in which they bring the mean of those chosen nearest to the mean of all.

    Features (rows, width) are brought to length 1 first.

    Example:
        >>> herd(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), 1)
        array([2])
    """
    features = np.asarray(features, dtype=np.float64)
    features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    mean, chosen, total = features.mean(axis=0), [], np.zeros(features.shape[1])
    squares, left = (features**2).sum(axis=1), np.ones(len(features), dtype=bool)
    for k in range(1, count + 1):  # |k * mean - total - x|^2 is least where |x|^2 - 2 x (k * mean - total) is
        distance = squares - 2 * features @ (k * mean - total)
        best = int(np.argmin(np.where(left, distance, np.inf)))
        chosen.append(best)
        left[best] = False
        total += features[best]
    return np.array(chosen, dtype=np.int64)


def fair_shares(sizes: Sequence[int], total: int) -> list[int]:
    """`total` split over classes of `sizes` rows, as evenly as they allow.

    Example:
        >>> fair_shares([1, 10, 10], 8)
        [1, 4, 3]
    """
    shares = [0] * len(sizes)
    while (left := min(total, sum(sizes)) - sum(shares)) > 0:
        unfinished = [i for i, size in enumerate(sizes) if shares[i] < size]
        for i in unfinished[:left]:
            shares[i] += min(max(1, left // len(unfinished)), sizes[i] - shares[i])
    return shares


def labels_of(dataset: Any) -> np.ndarray | None:
    """The whole-number label of every row; None where rows have none, or several."""
    with undisturbed_randomness():
        first = dataset[0]
        names = ("labels", "label", "label_ids")
        name = next((n for n in names if n in first), None) if isinstance(first, Mapping) else None
        if name is None or np.ndim(first[name]) or np.asarray(first[name]).dtype.kind not in "biu":
            return None
        if isinstance(dataset, Dataset) and name in dataset.column_names:  # a row at a time takes minutes
            return np.asarray(dataset.with_format("numpy")[name][:])
        return np.array([int(row[name]) for row in each_row(dataset)])


def _classes(dataset: Any, sampler: str) -> list[np.ndarray]:
    """The positions of each class; herding takes rows without labels for one class."""
    labels = labels_of(dataset)
    if labels is None and sampler == "class_balanced":
        raise DataError("sampler='class_balanced' needs one whole number per row in a column 'labels' or 'label'.")
    if labels is None:
        return [np.arange(len(dataset))]
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _some(positions: Sequence[int] | np.ndarray, count: int, random: np.random.Generator) -> Any:
    if count == len(positions):
        return positions
    return np.sort(random.choice(np.asarray(positions), count, replace=False))
