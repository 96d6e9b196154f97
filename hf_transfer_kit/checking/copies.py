"""Rows of one part of the data that stand in another part too, as copies or as near copies.

What counts is up to the task. Copies are texts that differ in capitals and punctuation only, or pictures with the same
pixels; near copies are texts that share most of their character 4-grams, or pictures with nearly the same thumbnail.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, concatenate_datasets

from hf_transfer_kit.tasks.task import Task

OnRead = Callable[[], None]
NearKeys = Mapping[Hashable, Mapping[Hashable, float]]  # key -> {nearly the same key: similarity}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedPart:
    """One part with what identifies its inputs.

    Fields:
        name: "train", "validation" or "test".
        rows: with the columns `input` and `label`.
        labels: of each row.
        keys: of each row; equal for copies.
        rows_of: of each key, its rows, ascending.
    """

    name: str
    rows: Dataset
    labels: Sequence[int]
    keys: Sequence[Hashable]
    rows_of: Mapping[Hashable, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Row `row` of one part is like row `other` of another part.

    Fields:
        exact: a copy; else a near copy, and there is no copy.
        similarity: 1 for a copy.
        other_label: one of the copies (of the near copies, where there is no copy) carries another label; `other` is
            then such a one.
    """

    row: int
    other: int
    exact: bool
    similarity: float
    other_label: bool


def keyed_part(name: str, rows: Dataset, task: Task, on_read: OnRead) -> KeyedPart:
    """`rows` with the key of each input; each input is read once, and `on_read` called each time."""
    keys = [task.key(value) for value in _Watched(rows["input"], on_read)]
    rows_of = defaultdict(list)
    for row, key in enumerate(keys):
        rows_of[key].append(row)
    return KeyedPart(name=name, rows=rows, labels=list(rows["label"]), keys=keys, rows_of=dict(rows_of))


def near_keys(queries: Sequence[KeyedPart], corpus: Sequence[KeyedPart], task: Task, on_read: OnRead) -> NearKeys:
    """For each key of `queries`: the other keys of `corpus` whose inputs are nearly the same.

    Only the first row of each key is compared, so that many copies of one row make no pairs of their own. It is read
    once for each side it is on, and `on_read` called each time.
    """
    query_keys, corpus_keys = ([key for part in parts for key in part.rows_of] for parts in (queries, corpus))
    near: defaultdict[Hashable, dict[Hashable, float]] = defaultdict(dict)
    sides = (_Watched(_one_per_key(parts), on_read) for parts in (queries, corpus))
    for pair in task.near_duplicates(*sides):
        query, other = query_keys[pair.query], corpus_keys[pair.corpus]
        if query != other:
            near[query][other] = pair.similarity
    return dict(near)


def find_copies(part: KeyedPart, other: KeyedPart, near: NearKeys) -> list[Copy]:
    """The rows of `part` that have a copy or a near copy in `other`, ascending, each once.

    Args:
        near: of `near_keys`, for these parts and possibly more.
    """
    copies = []
    for key, rows in part.rows_of.items():
        exact = key in other.rows_of
        similarities = {key: 1.0} if exact else near.get(key, {})
        likest: dict[int, tuple[float, int]] = {}  # of each label among the copies
        for like, similarity in similarities.items():
            for at in other.rows_of.get(like, ()):
                likest.setdefault(other.labels[at], (similarity, at))
                if similarity > likest[other.labels[at]][0]:
                    likest[other.labels[at]] = (similarity, at)
        for row in rows if likest else ():
            differing = [found for label, found in likest.items() if label != part.labels[row]]
            similarity, at = max(differing or likest.values(), key=lambda found: found[0])
            copies.append(Copy(row=row, other=at, exact=exact, similarity=similarity, other_label=bool(differing)))
    return sorted(copies, key=lambda copy: copy.row)


def _one_per_key(parts: Sequence[KeyedPart]) -> Sequence[Any]:
    firsts = [part.rows.select([rows[0] for rows in part.rows_of.values()]) for part in parts]
    column: Sequence[Any] = concatenate_datasets([rows.select_columns(["input"]) for rows in firsts])["input"]
    return column


class _Watched(Sequence[Any]):
    """A view of a sequence that calls `on_read` for each value that is read."""

    def __init__(self, values: Sequence[Any], on_read: OnRead):
        self._values = values
        self._on_read = on_read

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        self._on_read()
        return self._values[index]

    def __iter__(self) -> Iterator[Any]:  # a column is much faster to walk through than to index
        for value in self._values:
            self._on_read()
            yield value
