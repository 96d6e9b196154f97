"""Features of the rows that candidates are ranked on: one pass through each model, one through its random copy."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hf_transfer_kit.data.labelled import LabelledData
from hf_transfer_kit.features import (
    LayerFeatures,
    Progress,
    batches_by_length,
    cache_key,
    cached_features,
    extract,
    store_features,
)
from hf_transfer_kit.measure import Meter
from hf_transfer_kit.models import device, identity
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.tasks.task import Task
from hf_transfer_kit.transferability.random_copy import random_copy

NORMALISED_ON = 64  # rows that the random copy's batch norm takes its statistics from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankedRows:
    """Training rows, and the cut of their texts; nothing of the validation and test parts.

    Fields:
        positions: in the training part, ascending.
        inputs, labels: of these rows; labels are class numbers from 0 without gaps, `n_classes` of them.
        digest: SHA-256 of the whole training part.
        max_length: longest text in tokens.
    """

    task: Task
    positions: np.ndarray
    inputs: Sequence[Any]
    labels: np.ndarray
    digest: str
    max_length: int

    @property
    def n_classes(self) -> int:
        """Classes among these rows."""
        return int(self.labels.max()) + 1

    @property
    def alone(self) -> int:
        """Rows that are the only one of their class: no fit without them can answer them."""
        return int((np.bincount(self.labels) == 1).sum())


def ranked_rows(data: LabelledData, positions: np.ndarray, max_length: int) -> RankedRows:
    """The rows at `positions` of the training part of `data`."""
    part = data.train.select(positions)
    _, labels = np.unique(np.asarray(part["label"][:]), return_inverse=True)
    return RankedRows(
        task=get_task(data.task), positions=positions, inputs=part["input"], labels=labels,
        digest=data.hashes["train"], max_length=max_length,
    )  # fmt: skip


def candidate_features(
    rows: RankedRows, model: ModelSpec, *, random_seed: int | None, on_progress: Progress | None = None
) -> tuple[LayerFeatures, LayerFeatures | None]:
    """(features of the model, features of its random copy), from the cache where they are there.

    Args:
        random_seed: of the copy's weights; None: no copy.
        on_progress: called with (rows done, rows) over both passes.

    Raises:
        ModelError: the model cannot be loaded, is not made for this kind of input, or gives broken numbers.
        ResourceError: the features cannot be stored.
    """
    rows.task.check_model(model)
    weights = identity(model).weights_digest
    seeds = [None] if random_seed is None else [None, random_seed]
    keys = {seed: _key(rows, weights, seed) for seed in seeds}
    found = {seed: cached for seed in seeds if (cached := _cached(rows, weights, keys[seed], seed)) is not None}
    missing = [seed for seed in seeds if seed not in found]
    if missing:
        with Meter() as loading:
            backbone, processor = rows.task.load_backbone(model).to(device()), rows.task.load_processor(model)
        for number, seed in enumerate(missing):
            network = backbone if seed is None else random_copy(backbone, _first_batches(rows, processor), seed)
            passed = extract(
                rows.task, network, processor, rows.inputs, max_length=rows.max_length,
                on_progress=_shifted(on_progress, number, len(missing)),
            )  # fmt: skip
            cost = replace(passed.cost, load_seconds=loading.seconds, load_cpu_seconds=loading.cpu_seconds)
            found[seed] = replace(passed, cost=cost)
            store_features(keys[seed], found[seed])
    return found[None], None if random_seed is None else found[random_seed]


def _key(rows: RankedRows, weights: str | None, seed: int | None) -> str:
    chosen = hashlib.sha256(rows.positions.astype(np.int64).tobytes()).hexdigest()
    return cache_key(
        weights=weights, data=rows.digest, rows=chosen, task=rows.task.name, max_length=rows.max_length,
        random_seed=seed,
    )  # fmt: skip


def _cached(rows: RankedRows, weights: str | None, key: str, seed: int | None) -> LayerFeatures | None:
    """Of a ranking before, or of the approach `features`, which passes over the whole training part."""
    if seed is not None or (cached := cached_features(key)) is not None:
        return cached_features(key) if seed is not None else cached
    whole = cached_features(
        cache_key(weights=weights, data=rows.digest, task=rows.task.name, max_length=rows.max_length)
    )
    return whole and replace(whole, layers=tuple(layer[rows.positions] for layer in whole.layers))


def _first_batches(rows: RankedRows, processor: Any) -> Iterator[dict[str, Any]]:
    where = device()
    spread = np.linspace(0, len(rows.inputs) - 1, min(NORMALISED_ON, len(rows.inputs))).astype(int)
    inputs = [rows.inputs[int(row)] for row in spread]
    size = rows.task.inference_batch
    for _, encoded in batches_by_length(rows.task, processor, inputs, rows.max_length, size):
        yield {name: tensor.to(where) for name, tensor in rows.task.collate(processor, encoded).items()}


def _shifted(on_progress: Progress | None, number: int, passes: int) -> Progress | None:
    if on_progress is None:
        return None
    return lambda done, total: on_progress(number * total + done, passes * total)
