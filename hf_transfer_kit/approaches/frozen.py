"""`features`: a frozen model, one pass over the data, the best layer by measurement, a logistic head."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_transfer_kit.approaches.approach import Fit, Job, Outcome, Predictor
from hf_transfer_kit.approaches.linear import load_head, save_head
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.features import (
    LayerFeatures,
    cache_key,
    cached_features,
    extract,
    store_features,
)
from hf_transfer_kit.measure import Meter
from hf_transfer_kit.models import device, identity
from hf_transfer_kit.plan import Features, ModelSpec
from hf_transfer_kit.probe import LogisticHead, choose_layer, fit_logistic_head
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.tasks import Task, get_task
from hf_transfer_kit.values import read_json, write_json

PARTS = ("train", "validation", "test")
SHORTLIST = 3  # layers the probe cannot tell apart, that get a head of their own


class FeaturesPredictor(Predictor):
    """A frozen model, one of its layers, and a head; the model is loaded at the first question."""

    def __init__(self, task: Task, model: ModelSpec, layer: str, head: LogisticHead, max_length: int):
        self._task, self._model, self._layer, self._head, self._max_length = task, model, layer, head, max_length
        self._loaded: tuple[Any, Any] | None = None

    def logits(self, inputs: Sequence[Any]) -> np.ndarray:
        if self._loaded is None:
            self._loaded = (self._task.load_backbone(self._model).to(device()), self._task.load_processor(self._model))
        backbone, processor = self._loaded
        features = extract(self._task, backbone, processor, inputs, max_length=self._max_length, count_flops=False)
        return self._head.logits(features.candidates()[self._layer])


class FeaturesFit(Fit):
    """Frozen features with a logistic head; see `plan.Features`."""

    def fit(self, job: Job) -> Outcome:
        model = job.plan.model
        if model is None or not isinstance(job.plan.approach, Features):
            raise PlanError("the features approach needs a model and its own settings.")
        parts, pass_mib = _features_of_all_parts(job, model)
        job.events.write("stage", stage="training", message="choosing a layer and fitting the head")
        with Meter() as meter:
            candidates = _wanted_layers(job.plan.approach, parts["train"])
            train = {name: x[job.train_rows] for name, x in candidates.items()}
            validation = {name: parts["validation"].candidates()[name][job.validation_rows] for name in candidates}
            layer, head, scores = _best_head(job, train, validation)
        save_head(head, job.folder / "model")
        settings = {"backbone": model.name, "revision": model.revision, "layer": layer}
        write_json(job.folder / "model" / "features.json", settings)
        costs = {part: parts[part].cost for part in PARTS}
        used = {part: len(job.rows(part)) / max(costs[part].rows, 1) for part in ("train", "validation")}
        cached = all(parts[part].cached for part in PARTS)
        return Outcome(
            predictor=FeaturesPredictor(job.task, model, layer, head, job.plan.data.max_length),
            validation_logits=head.logits(validation[layer]),
            test_logits=head.logits(parts["test"].candidates()[layer]),
            train_seconds=meter.seconds + sum(costs[part].seconds * share for part, share in used.items()),
            train_cpu_seconds=meter.cpu_seconds + sum(costs[part].cpu_seconds * share for part, share in used.items()),
            train_flops=head.flops + sum(costs[part].flops * share for part, share in used.items()),
            peak_memory_mib=max(pass_mib, meter.peak_mib),
            trainable_parameters=head.weight.size + head.bias.size,
            total_parameters=costs["train"].parameters + head.weight.size + head.bias.size,
            cached=cached,
            details={"layer": layer, "layers": len(parts["train"].layers), "leave_one_out": scores,
                     "inverse_penalty": head.inverse_penalty, "seconds_now": meter.seconds},
        )  # fmt: skip

    def load(self, record: RunRecord, folder: Path) -> FeaturesPredictor:
        settings = read_json(folder / "features.json")
        model = ModelSpec(name=settings["backbone"], revision=settings["revision"])
        return FeaturesPredictor(
            get_task(record.task), model, settings["layer"], load_head(folder), record.plan.data.max_length
        )


def _features_of_all_parts(job: Job, model: ModelSpec) -> tuple[dict[str, LayerFeatures], float]:
    """(features of train, validation and test, peak memory of their passes in MiB), from the cache where they are there."""
    weights = identity(model).weights_digest
    keys = {
        part: cache_key(
            weights=weights, data=job.data.hashes[part], task=job.task.name, max_length=job.plan.data.max_length
        )
        for part in PARTS
    }
    parts = {part: features for part in PARTS if (features := cached_features(keys[part])) is not None}
    missing = [part for part in PARTS if part not in parts]
    if not missing:
        return parts, max(features.cost.peak_mib for features in parts.values())
    with Meter() as meter:
        job.events.write("stage", stage="loading", message=f"loading {model.name}")
        backbone, processor = job.task.load_backbone(model).to(device()), job.task.load_processor(model)
        job.events.write("stage", stage="features", message="one pass through the frozen model")
        total, before = sum(len(job.data.part(part)) for part in missing), 0
        for part in missing:
            inputs = job.data.part(part)["input"]
            parts[part] = extract(
                job.task, backbone, processor, inputs, max_length=job.plan.data.max_length,
                on_progress=lambda done, _, before=before: job.events.progress("features", before + done, total),
            )  # fmt: skip
            store_features(keys[part], parts[part])
            before += len(inputs)
    return parts, meter.peak_mib


def _wanted_layers(approach: Features, features: LayerFeatures) -> dict[str, np.ndarray]:
    """The layers the plan allows: all of them, or the one it names."""
    candidates = features.candidates()
    if approach.layer == "auto":
        return candidates
    number = int(approach.layer) if approach.layer != "mean" else None
    name = "mean" if number is None else str(number + len(features.layers) if number < 0 else number)
    if name not in candidates:
        raise PlanError(
            f"features.layer={approach.layer}: the model has layers 0 to {len(features.layers) - 1}; use one of them, a "
            "negative number from the top, mean or auto."
        )
    return {name: candidates[name]}


def _best_head(
    job: Job, train: Mapping[str, np.ndarray], validation: Mapping[str, np.ndarray]
) -> tuple[str, LogisticHead, dict[str, float]]:
    """(layer, its head, leave-one-out accuracy of every layer).

    The layer is chosen on training data by the leave-one-out probe. Layers that it cannot tell apart (within one standard
    error of its best accuracy) each get a head, and the lowest validation loss decides.
    """
    from hf_transfer_kit.metrics import log_softmax, negative_log_likelihood

    labels, validation_labels = job.labels("train"), job.labels("validation")
    best, results = choose_layer(train, labels, job.n_classes)
    top = results[best].accuracy
    error = (top * (1 - top) / len(labels)) ** 0.5
    close = sorted((n for n in results if results[n].accuracy >= top - error), key=lambda n: -results[n].accuracy)
    heads = {
        name: fit_logistic_head(train[name], labels, validation[name], validation_labels, job.n_classes)
        for name in close[:SHORTLIST]
    }
    losses = {
        name: negative_log_likelihood(log_softmax(head.logits(validation[name])), validation_labels)
        for name, head in heads.items()
    }
    chosen = min(losses, key=lambda name: losses[name])
    return chosen, heads[chosen], {name: result.accuracy for name, result in results.items()}
