"""Rows for the training loop: encoded inputs, and the order in which they come.

The order is a function of seed and epoch alone, given as whole global batches: one process or many, one micro-batch or
many, first attempt or resumed, every optimizer step sees the same rows.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch
from torch.utils.data import Dataset, Sampler

from hf_transfer_kit.boundary import KEY, pad_activations

if TYPE_CHECKING:
    from hf_transfer_kit.tasks.task import Row, Task

IGNORED = -100  # a label that no loss counts
LABEL = "labels"
ENCODED_AT_ONCE = 1024
BATCHES_SORTED_TOGETHER = 8  # batches hold rows of like length, drawn from windows of this many random batches


class Rows(Dataset[dict[str, Any]]):
    """Encoded inputs with their labels; number `len(rows) + i` is a filler: row i with a label that no loss counts.

    Args:
        stored: activations at a boundary, one tensor per row, or None.

    Encoded rows stay in memory where they fit into half of what is free; else each is encoded when it is asked for.
    """

    def __init__(
        self, task: "Task", processor: Any, inputs: Sequence[Any], labels: np.ndarray, max_length: int,
        stored: Sequence[torch.Tensor] | None = None,
    ):  # fmt: skip
        self._task, self._processor, self._max_length = task, processor, max_length
        self._inputs, self._labels, self._stored = inputs, labels, stored
        self._encoded = self._encode_all()
        self.lengths = np.ones(len(inputs), dtype=np.int64)
        if self._encoded is not None:
            self.lengths = np.array([task.length(row) for row in self._encoded], dtype=np.int64)

    def _encode_all(self) -> "list[Row] | None":
        """Every row encoded, or None where they would not fit."""
        rows: list[Row] = []
        for start in range(0, len(self._inputs), ENCODED_AT_ONCE):
            rows += self._task.encode(self._processor, self._inputs[start : start + ENCODED_AT_ONCE], self._max_length)
            size = sum(value.nbytes for value in rows[-1].values() if isinstance(value, torch.Tensor))
            if size * (len(self._inputs) - len(rows)) > psutil.virtual_memory().available / 2:
                return None
        return rows

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        label = IGNORED if index >= len(self) else int(self._labels[index])
        index = index % len(self)
        if self._encoded is not None:
            row = dict(self._encoded[index])
        else:
            row = dict(self._task.encode(self._processor, self._inputs[index : index + 1], self._max_length)[0])
        if self._stored is not None:
            row[KEY] = self._stored[index]
        return row | {LABEL: label}

    def collate(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One padded batch with its labels."""
        inputs = [{name: value for name, value in row.items() if name not in (LABEL, KEY)} for row in rows]
        batch = self._task.collate(self._processor, inputs)
        if KEY in rows[0]:
            length = max(self._task.length(row) for row in inputs) if self._task.pads else None
            batch[KEY] = pad_activations([row[KEY] for row in rows], length)
        return batch | {LABEL: torch.tensor([row[LABEL] for row in rows])}


class BatchOrder(Sampler[int]):
    """Row numbers of an epoch, whole batches of like length one after the other, the incomplete one last.

    Args:
        lengths: of each row.
        batch_size: rows per optimizer step.
        fill: complete the last batch with fillers, copies of its own rows (numbered from `len(lengths)` on): needed
            where it is cut into equal pieces, or where a batch norm would see a batch of one.
        seed: of the order; epoch e has an order of its own.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, *, fill: bool, seed: int):
        self._lengths, self._batch_size, self._fill, self._seed = lengths, batch_size, fill, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Makes the next pass that of `epoch`, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        rows, size = len(self._lengths), self._batch_size
        return -(-rows // size) * size if self._fill else rows

    def __iter__(self) -> Iterator[int]:
        return (int(row) for batch in self.batches(self.epoch) for row in batch)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The batches of `epoch`, in order."""
        random = np.random.default_rng([self._seed, epoch])
        rows, size = random.permutation(len(self._lengths)), self._batch_size
        whole = len(rows) // size * size
        last = rows[whole:]
        window = size * BATCHES_SORTED_TOGETHER
        sorted_windows = [
            part[np.argsort(self._lengths[part], kind="stable")]
            for part in (rows[start : min(start + window, whole)] for start in range(0, whole, window))
        ]
        batches = [part[i : i + size] for part in sorted_windows for i in range(0, len(part), size)]
        batches = [batches[i] for i in random.permutation(len(batches))]
        if len(last) and self._fill:
            last = np.concatenate([last, np.resize(last, size - len(last)) + len(self._lengths)])
        return batches + ([last] if len(last) else [])

    def padded_size(self, epoch: int) -> int:
        """Sum over the batches of rows x longest row: what a pass computes on."""
        rows = len(self._lengths)
        return int(sum(len(batch) * self._lengths[batch % rows].max() for batch in self.batches(epoch)))
