"""The controls beside every comparison, for free: the majority class, and learning without a pre-trained model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_transfer_kit.approaches.approach import Fit, Job, Outcome, Predictor
from hf_transfer_kit.approaches.linear import load_head, save_head
from hf_transfer_kit.measure import Meter
from hf_transfer_kit.probe import LogisticHead, fit_logistic_head
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.tasks.task import Task, Vocabulary
from hf_transfer_kit.values import from_mapping, read_json, to_mapping, write_json

VOCABULARY_FILE = "vocabulary.json"
NEVER_SEEN = 1e-3  # examples that a class without any counts as: those of old data, which are not to be expected here


class MajorityPredictor(Predictor):
    """Answers every input with the class frequencies of the training data."""

    def __init__(self, log_frequencies: np.ndarray):
        self._log_frequencies = log_frequencies

    def logits(self, inputs: Sequence[Any]) -> np.ndarray:
        return np.tile(self._log_frequencies, (len(inputs), 1))


class MajorityFit(Fit):
    """The most frequent class of the training data."""

    def fit(self, job: Job) -> Outcome:
        with Meter() as meter:
            counts = np.bincount(job.labels("train"), minlength=job.n_classes).astype(np.float64)
            counts += np.where(counts > 0, 1.0, NEVER_SEEN)
            frequencies = counts / counts.sum()
        predictor = MajorityPredictor(np.log(frequencies))
        write_json(job.folder / "model" / "frequencies.json", frequencies.tolist())
        return Outcome(
            predictor=predictor,
            validation_logits=predictor.logits(job.inputs("validation")),
            test_logits=predictor.logits(job.inputs("test")),
            train_seconds=meter.seconds,
            train_cpu_seconds=meter.cpu_seconds,
            train_flops=0.0,
            peak_memory_mib=meter.peak_mib,
            trainable_parameters=job.n_classes,
            total_parameters=job.n_classes,
        )

    def load(self, record: RunRecord, folder: Path) -> MajorityPredictor:
        return MajorityPredictor(np.log(np.asarray(read_json(folder / "frequencies.json"))))


class ShallowPredictor(Predictor):
    """Logistic regression on TF-IDF or raw pixels."""

    def __init__(self, task: Task, vocabulary: Vocabulary, head: LogisticHead):
        self._task, self._vocabulary, self._head = task, vocabulary, head

    def logits(self, inputs: Sequence[Any]) -> np.ndarray:
        features, _ = self._task.shallow_features(inputs, self._vocabulary)
        return self._head.logits(features)


class ShallowFit(Fit):
    """TF-IDF or raw pixels with logistic regression; its penalty has the lowest validation loss."""

    def fit(self, job: Job) -> Outcome:
        job.events.write("stage", stage="training", message=f"{job.task.shallow_name} and logistic regression")
        with Meter() as meter:
            features, vocabulary = job.task.shallow_features(job.inputs("train"), None)
            validation_features, _ = job.task.shallow_features(job.inputs("validation"), vocabulary)
            head = fit_logistic_head(
                features, job.labels("train"), validation_features, job.labels("validation"), job.n_classes
            )
        save_head(head, job.folder / "model")
        write_json(job.folder / "model" / VOCABULARY_FILE, to_mapping(vocabulary))
        predictor = ShallowPredictor(job.task, vocabulary, head)
        return Outcome(
            predictor=predictor,
            validation_logits=head.logits(validation_features),
            test_logits=predictor.logits(job.inputs("test")),
            train_seconds=meter.seconds,
            train_cpu_seconds=meter.cpu_seconds,
            train_flops=head.flops,
            peak_memory_mib=meter.peak_mib,
            trainable_parameters=head.weight.size + head.bias.size,
            total_parameters=head.weight.size + head.bias.size,
            details={"features": job.task.shallow_name, "inverse_penalty": head.inverse_penalty},
        )

    def load(self, record: RunRecord, folder: Path) -> ShallowPredictor:
        vocabulary = from_mapping(Vocabulary, read_json(folder / VOCABULARY_FILE), VOCABULARY_FILE)
        return ShallowPredictor(get_task(record.task), vocabulary, load_head(folder))
