"""Embeddings of a job's rows, made in one pass over a part of the data and kept: all arms, sizes and seeds share them.

They are cached like the features of a frozen model (features.py), under the hash of what they depend on.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_transfer_kit.approaches.approach import Job
from hf_transfer_kit.features import LayerFeatures, PassCost, cache_key, cached_features, store_features
from hf_transfer_kit.measure import Meter, flop_counter
from hf_transfer_kit.models import identity
from hf_transfer_kit.prompting.embeddings.vectors import Embedder

PARTS = ("train", "validation", "test")
COUNTED_ROWS = 16  # rows whose operations are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCost:
    """What passes cost: wall and processor seconds, floating-point operations."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    flops: float = 0.0


class KeptVectors:
    """Looks up the vectors of a job's inputs; a part of the data is embedded when its first input is asked for.

    Inputs that are not in the data are embedded where they are asked for.

    Args:
        job: whose data it is.
        embedder: makes the vectors.

    Attributes:
        cached: True while no pass was needed.
    """

    def __init__(self, job: Job, embedder: Embedder):
        self._job, self._embedder, self.cached = job, embedder, True
        self._places: dict[bytes, tuple[str, int]] = {}
        for part in PARTS:
            for row, value in enumerate(job.data.part(part)["input"]):
                self._places.setdefault(self._digest(value), (part, row))
        self._kept: dict[str, LayerFeatures] = {}
        self._asked: dict[str, set[int]] = defaultdict(set)
        self._spent = LearningCost()

    def __call__(self, inputs: Sequence[Any]) -> np.ndarray:
        """(inputs, width)."""
        places = [self._places.get(self._digest(value)) for value in inputs]
        new = [value for value, place in zip(inputs, places, strict=True) if place is None]
        others = iter(self._embedder.embed(new).vectors if new else ())
        for part in PARTS:
            rows = {place[1] for place in places if place is not None and place[0] == part}
            if rows and part not in self._kept:
                self._kept[part] = self._load(part)
            self._asked[part] |= rows
        return np.stack([next(others) if at is None else self._kept[at[0]].layers[0][at[1]] for at in places])

    def learning_cost(self) -> LearningCost:
        """Of embedding the rows asked for so far, less what was spent: a subset pays for its share of a pass."""
        shares = [
            (len(rows) / max(self._kept[part].cost.rows, 1), self._kept[part].cost)
            for part, rows in self._asked.items() if rows
        ]  # fmt: skip
        return LearningCost(
            seconds=sum(share * cost.seconds for share, cost in shares) - self._spent.seconds,
            cpu_seconds=sum(share * cost.cpu_seconds for share, cost in shares) - self._spent.cpu_seconds,
            flops=sum(share * cost.flops for share, cost in shares),
        )

    def _digest(self, value: Any) -> bytes:
        return hashlib.sha256(self._job.task.digest(value)).digest()

    def _load(self, part: str) -> LayerFeatures:
        """The vectors of a part, from the cache or a pass."""
        job, model = self._job, self._job.plan.model
        weights = identity(model).weights_digest if model is not None else None
        settings = json.dumps(self._embedder.details, sort_keys=True)
        key = cache_key(weights=weights, data=job.data.hashes[part], task=job.task.name, embedding=settings)
        with Meter() as meter:
            found = cached_features(key)
            if found is None:
                found = self._pass(part)
                store_features(key, found)
                self.cached = False
        self._spent = LearningCost(
            seconds=self._spent.seconds + meter.seconds, cpu_seconds=self._spent.cpu_seconds + meter.cpu_seconds
        )
        return found

    def _pass(self, part: str) -> LayerFeatures:
        job, inputs = self._job, self._job.data.part(part)["input"]
        job.events.write("stage", stage="features", message=f"embedding the {part} part")
        with Meter() as meter:
            embedded = self._embedder.embed(inputs, lambda done, total: job.events.progress("features", done, total))
        counted = inputs[:COUNTED_ROWS]
        with flop_counter() as counter:
            self._embedder.embed(counted)
        cost = PassCost(
            rows=len(inputs), seconds=meter.seconds, cpu_seconds=meter.cpu_seconds,
            flops=counter.get_total_flops() * len(inputs) / len(counted),
            parameters=self._embedder.parameters, peak_mib=meter.peak_mib,
        )  # fmt: skip
        return LayerFeatures(layers=(embedded.vectors,), cost=cost, cached=False)
