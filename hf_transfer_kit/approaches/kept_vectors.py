"""Embeddings of a job's rows, made in one pass over a part of the data and kept: all arms, sizes and seeds share them.

They are cached like the features of a frozen model (features.py), under the hash of what they depend on.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hf_transfer_kit.approaches.approach import Job
from hf_transfer_kit.features import LayerFeatures, PassCost, cache_key, cached_features, store_features
from hf_transfer_kit.measure import Meter, flop_counter
from hf_transfer_kit.models import identity
from hf_transfer_kit.prompting.vectors import Embedder

PARTS = ("train", "validation", "test")
COUNTED_ROWS = 16  # rows whose operations are counted


class KeptVectors:
    """Looks up the vectors of a job's inputs; a part of the data is embedded when the first of its inputs is asked for.

    Args:
        job: whose inputs are asked for, and nothing else.
        embedder: makes the vectors.

    Attributes:
        cost: of the passes over what was asked for so far, by part; a cached one counts as it was measured.
        cached: True while no pass was needed.
    """

    def __init__(self, job: Job, embedder: Embedder):
        self._job, self._embedder = job, embedder
        self._places: dict[bytes, tuple[str, int]] = {}
        for part in PARTS:
            for row, value in enumerate(job.data.part(part)["input"]):
                self._places.setdefault(self._digest(value), (part, row))
        self._vectors: dict[str, np.ndarray] = {}
        self.cost: dict[str, PassCost] = {}
        self.cached = True

    def __call__(self, inputs: Sequence[Any]) -> np.ndarray:
        places = [self._places[self._digest(value)] for value in inputs]
        for part in sorted({part for part, _ in places} - set(self._vectors)):
            self._load(part)
        return np.stack([self._vectors[part][row] for part, row in places])

    def learning_cost(self, rows: int) -> tuple[float, float, float]:
        """(seconds, processor seconds, operations) of loading the model and embedding `rows` training rows."""
        cost = self.cost.get("train")
        if cost is None or not cost.rows:
            return 0.0, 0.0, 0.0
        share = rows / cost.rows
        return (
            cost.load_seconds + share * cost.seconds, cost.load_cpu_seconds + share * cost.cpu_seconds,
            share * cost.flops,
        )  # fmt: skip

    def _digest(self, value: Any) -> bytes:
        return hashlib.sha256(self._job.task.digest(value)).digest()

    def _load(self, part: str) -> None:
        job, model = self._job, self._job.plan.model
        if model is None:
            raise KeyError(part)
        with Meter() as loading:
            self._embedder.load()
        settings = json.dumps(self._embedder.details, sort_keys=True)
        key = cache_key(
            weights=identity(model).weights_digest, data=job.data.hashes[part], task=job.task.name, embedding=settings
        )
        found = cached_features(key)
        if found is None:
            found = self._pass(part)
            cost = replace(found.cost, load_seconds=loading.seconds, load_cpu_seconds=loading.cpu_seconds)
            found = replace(found, cost=cost)
            store_features(key, found)
            self.cached = False
        self._vectors[part], self.cost[part] = found.layers[0], found.cost

    def _pass(self, part: str) -> LayerFeatures:
        job, inputs = self._job, self._job.data.part(part)["input"]
        job.events.write("stage", stage="features", message=f"embedding the {part} part")
        with Meter() as meter:
            embedded = self._embedder.embed(inputs, lambda done, all: job.events.progress("features", done, all))
        counted = inputs[:COUNTED_ROWS]
        with flop_counter() as counter:
            self._embedder.embed(counted)
        cost = PassCost(
            rows=len(inputs), seconds=meter.seconds, cpu_seconds=meter.cpu_seconds,
            flops=counter.get_total_flops() * len(inputs) / max(len(counted), 1),
            parameters=self._embedder.parameters, peak_mib=meter.peak_mib,
        )  # fmt: skip
        return LayerFeatures(layers=(embedded.vectors,), cost=cost, cached=False)
