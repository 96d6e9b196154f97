"""Examples -> batches whose rows can be taken out again."""

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import default_data_collator

from hf_transfer_kit.errors import DataError

IGNORED = -100  # label of what has no loss


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some examples as the model takes them.

    Fields:
        inputs: keyword arguments of the model.
        positions: where each row stands among all examples.
    """

    inputs: dict[str, Any]
    positions: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.positions)

    def rows(self, chosen: Sequence[int]) -> "Batch":
        """A batch of these rows alone, with their padding."""
        inputs = {name: self._rows_of(value, chosen) for name, value in self.inputs.items()}
        return replace(self, inputs=inputs, positions=tuple(self.positions[row] for row in chosen))

    def one_by_one(self) -> Iterator["Batch"]:
        """A batch for every row."""
        yield from (self.rows([row]) for row in range(len(self)))

    def fullest(self, most: int) -> "Batch":
        """The rows with most labels."""
        labels = self.inputs.get("labels")
        if not isinstance(labels, torch.Tensor) or labels.ndim < 2:
            return self.rows(range(min(most, len(self))))
        counts = (labels != IGNORED).flatten(1).sum(1)
        return self.rows(counts.argsort(descending=True, stable=True)[:most].tolist())

    def _rows_of(self, value: Any, chosen: Sequence[int]) -> Any:
        if isinstance(value, torch.Tensor) and value.ndim and len(value) == len(self):
            return value[list(chosen)]
        if isinstance(value, list | tuple) and len(value) == len(self):
            return [value[row] for row in chosen]
        return value


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The batches of a data set; every pass over them gives the same ones, also where the collator draws at random.

    Fields:
        examples, positions: each example and where it stands among those of all processes.
        collate: list of examples -> what the model takes.
        always: inputs for every batch, such as `use_cache=False`.
    """

    examples: Sequence[Any]
    positions: Sequence[int]
    collate: Callable[[list[Any]], Any]
    batch_size: int
    seed: int
    device: torch.device
    always: Mapping[str, Any]

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.examples), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            seed_all(self.seed + start)
            yield self._batch(list(self.examples[chosen]), tuple(self.positions[chosen]))

    def _batch(self, examples: list[Any], positions: tuple[int, ...]) -> Batch:
        made = self.collate(examples)
        if not isinstance(made, Mapping):
            raise DataError(
                f"the collator made a {type(made).__name__}; pass a collate_fn that makes a dict of model inputs."
            )
        inputs = {name: _moved(value, self.device) for name, value in made.items()}
        rows = {len(value) for value in inputs.values() if isinstance(value, torch.Tensor) and value.ndim}
        if len(examples) not in rows:
            raise DataError(
                f"the collator made {sorted(rows)} rows of {len(examples)} examples; pass a collate_fn that makes "
                "a row of each, without packing."
            )
        return Batch(inputs={**inputs, **self.always}, positions=positions)


def seed_all(seed: int) -> None:
    """Seeds all three sources of random numbers."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def collator_for(model: nn.Module, data: Any, collate_fn: Callable[[list[Any]], Any] | None) -> Callable[..., Any]:
    """The collator asked for, else that of a DataLoader, else the default one on the keys that the model takes."""
    if collate_fn is not None:
        return collate_fn
    if isinstance(data, DataLoader):
        return data.collate_fn
    names, everything = taken_by(model)

    def collate(examples: list[Any]) -> Any:
        def kept(example: Any) -> Any:
            if everything or not isinstance(example, Mapping):
                return example
            return {name: value for name, value in example.items() if name in names}

        return default_data_collator([kept(example) for example in examples])

    return collate


def taken_by(model: nn.Module) -> tuple[set[str], bool]:
    """The names of the arguments of `model`, with the Trainer's names for labels; and whether it names none."""
    base = getattr(model, "get_base_model", lambda: model)()  # inside a PEFT model, whose own forward takes anything
    arguments = inspect.signature(type(base).forward).parameters.values()
    named = {
        argument.name
        for argument in arguments
        if argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
    }
    named.discard("self")
    return named | {"label", "label_ids"}, not named


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value
