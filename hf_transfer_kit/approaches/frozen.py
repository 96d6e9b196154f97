"""`features`: a frozen model, one pass over the data, the best layer by measurement, a logistic head."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hf_transfer_kit.approaches.approach import Fit, Job, Outcome, Predictor
from hf_transfer_kit.approaches.layer_choice import LabelledFeatures, fit_best_head
from hf_transfer_kit.approaches.linear import load_head, save_head
from hf_transfer_kit.approaches.start import starting_model
from hf_transfer_kit.errors import ModelError, PlanError
from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.features import LayerFeatures, Progress, cache_key, cached_features, extract, store_features
from hf_transfer_kit.measure import Meter
from hf_transfer_kit.models import device, identity
from hf_transfer_kit.plan import Features, ModelSpec
from hf_transfer_kit.probe import LogisticHead
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.tasks.task import Task
from hf_transfer_kit.values import from_mapping, read_json, to_mapping, write_json

PARTS = ("train", "validation", "test")
SETTINGS_FILE = "features.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenLayer:
    """What a head stands on.

    Fields:
        backbone, revision: of the model; the revision is the commit of a Hub model.
        weights_digest: of the model when the head was fitted.
        layer: name of the layer.
        max_length: longest text in tokens.
        start: key of the model that knows the old data, where that is the backbone.
    """

    backbone: str
    revision: str | None
    weights_digest: str | None
    layer: str
    max_length: int
    start: str | None = None

    @property
    def model(self) -> ModelSpec:
        """The model, as a plan names it; raises ModelError where it was in the cache and is gone."""
        if self.start is not None:
            return starting_model(self.start)
        return ModelSpec(name=self.backbone, revision=self.revision)


class FeaturesPredictor(Predictor):
    """A frozen model, one of its layers, and a head; the model is loaded at the first question."""

    def __init__(self, task: Task, below: FrozenLayer, head: LogisticHead):
        self._task, self._below, self._head = task, below, head
        self._loaded: tuple[Any, Any] | None = None

    def logits(self, inputs: Sequence[Any]) -> np.ndarray:
        """(inputs, classes).

        Raises:
            ModelError: the model cannot be loaded, or is no longer the one the head was fitted on.
        """
        backbone, processor = self._loaded = self._loaded or self._load()
        features = extract(
            self._task, backbone, processor, inputs, max_length=self._below.max_length, count_flops=False
        )
        return self._head.logits(features.named(self._below.layer))

    def _load(self) -> tuple[Any, Any]:
        model = self._below.model
        if identity(model).weights_digest != self._below.weights_digest:
            raise ModelError(
                f"model '{model.name}' has changed since this run, so that its head no longer fits; bring the old "
                "model back, or run again."
            )
        return self._task.load_backbone(model).to(device()), self._task.load_processor(model)


class FeaturesFit(Fit):
    """Frozen features with a logistic head; see `plan.Features`."""

    def fit(self, job: Job) -> Outcome:
        model = job.start
        if model is None or not isinstance(job.plan.approach, Features):
            raise PlanError("the features approach needs a model and its own settings.")
        found = identity(model)
        parts, pass_mib = _features_of_all_parts(job, model, found.weights_digest)
        train, validation = parts["train"], parts["validation"]
        job.events.write("stage", stage="training", message="choosing a layer and fitting the head")
        with Meter() as meter:
            layers = _wanted_layers(job.plan.approach, train.features)
            choice, fit = fit_best_head(layers, train, validation, job.n_classes)
        head = fit.head
        below = FrozenLayer(
            backbone=model.name, revision=found.revision or model.revision, weights_digest=found.weights_digest,
            layer=choice.layer, max_length=job.plan.data.max_length, start=None if job.old is None else job.old.key,
        )  # fmt: skip
        save_head(head, job.folder / "model")
        write_json(job.folder / "model" / SETTINGS_FILE, to_mapping(below))
        learned = (train.features.cost, len(train.rows)), (validation.features.cost, len(validation.rows))
        passes = [
            (rows / max(cost.rows, 1), cost) for cost, rows in learned
        ]  # a subset pays for its share of the pass
        loading = train.features.cost
        return Outcome(
            predictor=FeaturesPredictor(job.task, below, head),
            validation_logits=head.logits(validation.named(choice.layer)),
            test_logits=head.logits(parts["test"].named(choice.layer)),
            train_seconds=loading.load_seconds + sum(share * cost.seconds for share, cost in passes)
            + choice.seconds + fit.seconds,
            train_cpu_seconds=loading.load_cpu_seconds + sum(share * cost.cpu_seconds for share, cost in passes)
            + choice.cpu_seconds + fit.cpu_seconds,
            train_flops=sum(share * cost.flops for share, cost in passes) + choice.flops + head.flops,
            peak_memory_mib=max(pass_mib, meter.peak_mib),
            trainable_parameters=head.weight.size + head.bias.size,
            total_parameters=loading.parameters + head.weight.size + head.bias.size,
            cached=all(part.features.cached for part in parts.values()),
            details={"layer": choice.layer, "layers": len(train.features.layers),
                     "leave_one_out": choice.leave_one_out, "inverse_penalty": head.inverse_penalty,
                     "seconds_now": meter.seconds},
        )  # fmt: skip

    def load(self, record: RunRecord, folder: Path) -> FeaturesPredictor:
        below = from_mapping(FrozenLayer, read_json(folder / SETTINGS_FILE), SETTINGS_FILE)
        return FeaturesPredictor(get_task(record.task), below, load_head(folder))


def _features_of_all_parts(
    job: Job, model: ModelSpec, weights: str | None
) -> tuple[dict[str, LabelledFeatures], float]:
    """(features by part, peak memory of their passes in MiB), from the cache where they are there."""
    keys = {
        part: cache_key(
            weights=weights, data=job.data.hashes[part], task=job.task.name, max_length=job.plan.data.max_length
        )
        for part in PARTS
    }
    features = {part: found for part in PARTS if (found := cached_features(keys[part])) is not None}
    missing = {part: keys[part] for part in PARTS if part not in features}
    peak_mib = max((each.cost.peak_mib for each in features.values()), default=0.0)
    if missing:
        with Meter() as meter:
            features |= _pass(job, model, missing)
        peak_mib = meter.peak_mib
    parts = {
        part: LabelledFeatures(key=keys[part], features=features[part], rows=job.rows(part), labels=job.labels(part))
        for part in PARTS
    }
    return parts, peak_mib


def _pass(job: Job, model: ModelSpec, missing: dict[str, str]) -> dict[str, LayerFeatures]:
    """Features of the parts in `missing`, computed and stored under the keys there."""
    job.events.write("stage", stage="loading", message=f"loading {model.name}")
    with Meter() as loading:
        backbone, processor = job.task.load_backbone(model).to(device()), job.task.load_processor(model)
    job.events.write("stage", stage="features", message="one pass through the frozen model")
    total, before = sum(len(job.data.part(part)) for part in missing), 0
    features = {}
    for part, key in missing.items():
        inputs = job.data.part(part)["input"]
        found = extract(
            job.task, backbone, processor, inputs, max_length=job.plan.data.max_length,
            on_progress=_progress(job.events, before, total),
        )  # fmt: skip
        cost = replace(found.cost, load_seconds=loading.seconds, load_cpu_seconds=loading.cpu_seconds)
        features[part] = replace(found, cost=cost)
        store_features(key, features[part])
        before += len(inputs)
    return features


def _progress(events: EventWriter, before: int, total: int) -> Progress:
    return lambda done, _: events.progress("features", before + done, total)


def _wanted_layers(approach: Features, features: LayerFeatures) -> tuple[str, ...]:
    """The layers that the plan allows: all of them, or the one it names."""
    if approach.layer == "auto":
        return features.names
    layer, count = approach.layer, len(features.layers)
    name = str(layer + count if isinstance(layer, int) and layer < 0 else layer)
    if name not in features.names:
        raise PlanError(
            f"features.layer={layer}: the model has layers 0 to {count - 1}; use one of them, a negative number from "
            "the top, mean or auto."
        )
    return (name,)
