"""Examples out of whatever the Trainer takes as a training set: map-style, iterable, or a DataLoader around either."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, IterableDataset

from hf_transfer_kit.errors import DataError


def dataset_of(data: Any) -> Any:
    """The data set behind `data`: that of a DataLoader, else `data` itself.

    Raises:
        DataError: `data` is neither map-style nor iterable.
    """
    dataset = data.dataset if isinstance(data, DataLoader) else data
    if not is_map_style(dataset) and not isinstance(dataset, Iterable):
        raise DataError(f"{type(data).__name__} gives no examples; pass what the Trainer would take as train_dataset.")
    return dataset


def is_map_style(dataset: Any) -> bool:
    """Whether examples are read by their position."""
    if isinstance(dataset, IterableDataset | dict | str):  # the first inherits __getitem__, and may know its length
        return False
    return hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")


def some_examples(data: Any, most: int, seed: int = 0) -> list[Any]:
    """Up to `most` examples: drawn without replacement, in their own order; of an iterable the first ones.

    Raises:
        DataError: there are none, or `data` is no data set.

    Example:
        >>> some_examples([{"labels": 0}, {"labels": 1}], most=5)
        [{'labels': 0}, {'labels': 1}]
    """
    dataset = dataset_of(data)
    if is_map_style(dataset):
        drawn = np.random.default_rng(seed).permutation(len(dataset))[:most]
        found = [dataset[int(position)] for position in np.sort(drawn)]
    else:
        found = list(itertools.islice(dataset, most))
    if not found:
        raise DataError("the old data holds no examples; pass the examples of the task that must not be forgotten.")
    return found
