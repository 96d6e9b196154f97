"""Which layer of a frozen model to answer from, and the head on it; both are remembered beside the features.

The leave-one-out probe looks at training data alone. Layers that it cannot tell apart (within one standard error of
its best accuracy) each get a head with the weakest penalty, and the lowest validation loss decides. The same features,
labels and rows always give the same head, so a second run reads it.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.features import LayerFeatures, cache_folder, cache_key
from hf_transfer_kit.measure import Meter
from hf_transfer_kit.metrics import log_softmax, negative_log_likelihood
from hf_transfer_kit.probe import INVERSE_PENALTIES, MAX_PROBE_ROWS, LogisticHead, choose_layer, fit_logistic_head
from hf_transfer_kit.values import from_mapping, to_mapping

VERSION = 2  # part of the key: raise it when the same features and labels would give another choice or head
SHORTLIST = 3  # layers that the probe cannot tell apart, which get a head each


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledFeatures:
    """Features of the rows that a run uses.

    Fields:
        key: of `features` in the cache.
        features: of a whole part of the data.
        rows: positions in that part.
        labels: (rows,) class numbers.
    """

    key: str
    features: LayerFeatures
    rows: np.ndarray
    labels: np.ndarray

    def named(self, layer: str) -> np.ndarray:
        """(rows, width)."""
        used: np.ndarray = self.features.named(layer)[self.rows]
        return used

    def digest(self) -> str:
        """Changes with the features, the rows and the labels."""
        numbers = [np.ascontiguousarray(values, dtype=np.int64).tobytes() for values in (self.rows, self.labels)]
        return hashlib.sha256(b"".join([self.key.encode(), *numbers])).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerChoice:
    """The layer chosen, why, and what the choice cost.

    Fields:
        layer: its name.
        leave_one_out: accuracy of the probe on every layer.
        seconds, cpu_seconds, flops: of choosing, without the fit of the head on the chosen layer.
    """

    layer: str
    leave_one_out: dict[str, float]
    seconds: float
    cpu_seconds: float
    flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFit:
    """A head, its loss on validation (nats), and the wall and processor time of its fit."""

    head: LogisticHead
    loss: float
    seconds: float
    cpu_seconds: float


def fit_best_head(
    layers: Sequence[str], train: LabelledFeatures, validation: LabelledFeatures, n_classes: int
) -> tuple[LayerChoice, HeadFit]:
    """The choice among `layers` and the head on the chosen one."""
    digests = {"train": train.digest(), "validation": validation.digest()}
    key = cache_key(**digests, choice=VERSION, layers=",".join(layers), classes=n_classes)
    path = cache_folder() / "choices" / f"{key}.safetensors"
    if (remembered := _remembered(path)) is not None:
        return remembered
    with Meter() as meter:
        accuracies, shortlist = _probe(layers, train, n_classes)
        tried = {
            layer: _fit_head(layer, train, validation, n_classes, INVERSE_PENALTIES[:1])
            for layer in (shortlist if len(shortlist) > 1 else [])
        }
        best = min(shortlist, key=lambda layer: tried[layer].loss) if tried else shortlist[0]
    choice = LayerChoice(
        layer=best, leave_one_out=accuracies, seconds=meter.seconds, cpu_seconds=meter.cpu_seconds,
        flops=sum(fit.head.flops for fit in tried.values()),
    )  # fmt: skip
    fit = _fit_head(best, train, validation, n_classes)
    _remember(path, choice, fit)
    return choice, fit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    """What the file of a remembered head says besides its weights; the fields are those of LayerChoice and HeadFit."""

    choice: LayerChoice
    inverse_penalty: float
    flops: float
    loss: float
    seconds: float
    cpu_seconds: float


def _remember(path: Path, choice: LayerChoice, fit: HeadFit) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    head = fit.head
    memory = _Memory(
        choice=choice, inverse_penalty=head.inverse_penalty, flops=head.flops, loss=fit.loss, seconds=fit.seconds,
        cpu_seconds=fit.cpu_seconds,
    )  # fmt: skip
    tensors = {"weight": np.ascontiguousarray(head.weight), "bias": head.bias}
    with contextlib.suppress(OSError, SafetensorError):  # a cache that cannot be written costs time, not the run
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=path.parent, ignore_cleanup_errors=True) as folder:
            save_file(tensors, Path(folder) / path.name, metadata={"memory": json.dumps(to_mapping(memory))})
            os.replace(Path(folder) / path.name, path)


def _remembered(path: Path) -> tuple[LayerChoice, HeadFit] | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            memory = from_mapping(_Memory, json.loads(file.metadata()["memory"]), path.name)
            weight, bias = file.get_tensor("weight"), file.get_tensor("bias")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, PlanError):
        return None
    head = LogisticHead(weight=weight, bias=bias, inverse_penalty=memory.inverse_penalty, flops=memory.flops)
    return memory.choice, HeadFit(head=head, loss=memory.loss, seconds=memory.seconds, cpu_seconds=memory.cpu_seconds)


def _probe(layers: Sequence[str], train: LabelledFeatures, n_classes: int) -> tuple[dict[str, float], list[str]]:
    """(leave-one-out accuracy of every layer, at most SHORTLIST layers that may be the best, the best first)."""
    best, results = choose_layer({layer: train.named(layer) for layer in layers}, train.labels, n_classes)
    top = results[best].accuracy
    error = (top * (1 - top) / min(len(train.labels), MAX_PROBE_ROWS)) ** 0.5
    order = sorted(layers, key=lambda layer: (-results[layer].accuracy, results[layer].squared_error))
    close = [layer for layer in order if results[layer].accuracy >= top - error]
    return {layer: result.accuracy for layer, result in results.items()}, close[:SHORTLIST]


def _fit_head(
    layer: str, train: LabelledFeatures, validation: LabelledFeatures, n_classes: int,
    inverse_penalties: Sequence[float] | None = None,
) -> HeadFit:  # fmt: skip
    with Meter() as meter:
        features = validation.named(layer)
        head = fit_logistic_head(
            train.named(layer), train.labels, features, validation.labels, n_classes, inverse_penalties
        )
        loss = negative_log_likelihood(log_softmax(head.logits(features)), validation.labels)
    return HeadFit(head=head, loss=loss, seconds=meter.seconds, cpu_seconds=meter.cpu_seconds)
