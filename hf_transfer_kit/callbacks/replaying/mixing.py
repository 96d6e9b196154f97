"""The Trainer's collator with old rows at the end of every batch.

Which rows is a function of the seed, the process, the epoch and what the batch holds. So it needs no counter, and
loader workers, prefetching and the skipped batches of a resumed run do not change it.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers.trainer_utils import RemoveColumnsCollator

from hf_transfer_kit.callbacks.replaying.content import digest
from hf_transfer_kit.callbacks.replaying.memory import Memory
from hf_transfer_kit.errors import DataError
from hf_transfer_kit.examples import is_map_style
from hf_transfer_kit.isolation import undisturbed_randomness


class Mixing:
    """Collates rows together with old ones, whose share of the result is `ratio` on average.

    Fields:
        own: the collator around which it lies.
        epoch: counted from 0; shared with workers, also those that outlive an epoch.
    """

    def __init__(self, own: Callable[[list[Any]], Any], memory: Memory, *, ratio: float, seed: int, rank: int):
        self.own, self.epoch = own, torch.zeros((), dtype=torch.int64).share_memory_()
        self._memory, self._ratio, self._seed = memory, ratio, (seed, rank)

    def __call__(self, rows: list[Any]) -> Any:
        content = int.from_bytes(digest(rows), "big")
        random = np.random.default_rng([*self._seed, int(self.epoch), content])
        count = old_rows_for(len(rows), self._ratio, random)
        old = [fitted(self._memory[position], rows[0], self.own) for position in self._memory.draw(count, random)]
        return self.own([*rows, *old])


def own_collator(loader: DataLoader) -> Callable[[list[Any]], Any]:
    """The collator that `loader` has without replay; what it drops or needs is the Trainer's affair."""
    return loader.collate_fn.own if isinstance(loader.collate_fn, Mixing) else loader.collate_fn


def collate_old(rows: list[Any], *, own: Callable[[list[Any]], Any], new: Any) -> Any:
    """A batch of old rows alone, with the columns of the training row `new`, by the Trainer's own collator."""
    return own([fitted(row, new, own) for row in rows])


def old_rows_for(new: int, ratio: float, random: np.random.Generator) -> int:
    """How many old rows to add to `new` ones: ratio / (1 - ratio) * new in expectation, rounded up or down."""
    expected = ratio / (1 - ratio) * new
    return int(expected) + bool(random.random() < expected % 1)


def fitted(old: Any, new: Any, collate: Callable[[list[Any]], Any]) -> Any:
    """A copy of the row `old` with the columns of the training row `new`; raises DataError where one is missing.

    A column that the Trainer drops before collating may be missing. Without a training row all columns stay.
    """
    if not isinstance(new, Mapping):
        return dict(old) if isinstance(old, Mapping) else old  # collators may change what they get
    used = _used(new, collate)
    if not isinstance(old, Mapping) or any(column not in old for column in used):
        has = ", ".join(old) if isinstance(old, Mapping) else type(old).__name__
        missing = [column for column in used if not isinstance(old, Mapping) or column not in old]
        raise DataError(
            f"Replay: the old data has no column {', '.join(missing)}; it has {has}, while the training data has "
            f"{', '.join(new)}. Prepare both in the same way."
        )
    return {column: old[column] for column in new if column in old}


def training_columns(loader: DataLoader) -> Collection[str] | None:
    """The columns that reach the model; None where that is not known before training."""
    row = first_row(loader)
    if isinstance(row, Mapping):
        return _used(row, loader.collate_fn)
    return loader.collate_fn.signature_columns if isinstance(loader.collate_fn, RemoveColumnsCollator) else None


def first_row(loader: DataLoader) -> Any:
    """The first training row; None of data that can only be iterated over, which reading could use up."""
    with undisturbed_randomness():  # it may be augmented at random
        return loader.dataset[0] if is_map_style(loader.dataset) and len(loader.dataset) else None  # type: ignore[arg-type]


def _used(row: Mapping[str, Any], collate: Any) -> list[str]:
    kept = collate.signature_columns if isinstance(collate, RemoveColumnsCollator) else row
    return [column for column in row if column in kept]
