"""What goes into an approach and what comes out of it; the same for all of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hf_transfer_kit.data.labelled import LabelledData
from hf_transfer_kit.data.old_text import OldTextData
from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.plan import ModelSpec, TransferPlan
from hf_transfer_kit.prompting.scores import Usage
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.tasks import Task


class Predictor(ABC):
    """A model that is ready to answer."""

    @abstractmethod
    def logits(self, inputs: Sequence[Any]) -> np.ndarray:
        """(inputs, classes): unnormalised log-probabilities."""

    def usage(self) -> Usage:
        """What the last call of `logits` cost in tokens; nothing for models that read no prompt."""
        return Usage()

    def forget(self) -> None:  # noqa: B027  # most keep nothing
        """Drops what is kept between predictions, so that what that saves can be measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownTask:
    """What must not be forgotten, and the model that knows it.

    Fields:
        data: the old data; its classes are numbered as those of the job.
        train_rows, validation_rows: positions of its rows that were learned from.
        key: of the model in the cache.
        start: that model; its head tells old and new labels apart. Every approach starts from it.
        before: (test rows, classes), its logits for the old test items.
        details: how it came to know, for the record; plain values.
    """

    data: LabelledData
    train_rows: np.ndarray
    validation_rows: np.ndarray
    key: str
    start: ModelSpec
    before: np.ndarray
    details: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an approach is given.

    Fields:
        plan: with the approach's settings.
        task: of the data.
        data: all rows; `train_rows` and `validation_rows` say which of them may be learned from.
        train_rows, validation_rows: positions in the parts.
        folder: of the run; `folder / "model"` is where the approach saves what it needs to answer again.
        events: where it says how far it is.
        old: None without labelled old data, and where nothing starts from a model that knows it (controls, a random
            start).
        old_text: what must not be forgotten where it has no labels: no model learns it first.
    """

    plan: TransferPlan
    task: Task
    data: LabelledData
    train_rows: np.ndarray
    validation_rows: np.ndarray
    folder: Path
    events: EventWriter
    old: KnownTask | None = None
    old_text: OldTextData | None = None

    @property
    def start(self) -> ModelSpec | None:
        """The model to start from: the plan's, or what it became by learning the old data."""
        return self.plan.model if self.old is None else self.old.start

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.data.label_names)

    def labels(self, part: str) -> np.ndarray:
        """Class numbers of the rows of `part` that the run uses."""
        return np.asarray(self.data.part(part)["label"][:])[self.rows(part)]

    def inputs(self, part: str) -> Sequence[Any]:
        """Inputs of the rows of `part` that the run uses, read when asked for."""
        inputs: Sequence[Any] = self.data.part(part).select(self.rows(part))["input"]
        return inputs

    def rows(self, part: str) -> np.ndarray:
        """Positions of the rows of `part` that the run uses."""
        if part == "test":
            return np.arange(len(self.data.test))
        return self.train_rows if part == "train" else self.validation_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an approach gives back; its model is saved by then.

    Fields:
        predictor: the model.
        validation_logits: (rows, classes); None where validation was not looked at.
        test_logits: (rows, classes).
        train_seconds, train_cpu_seconds, train_flops, peak_memory_mib, trainable_parameters, total_parameters,
            cached: as in `records.Cost`.
        details: what the approach found out by itself, for the record; plain values.
        labels: labelled examples it looked at, where those are fewer than the rows of train and validation.
        unreadable: (test rows,), True where an answer was none of the classes; None where that cannot be.
        train_dollars: as in `records.Cost`.
        remote: what the test answers cost where another machine gave them; None where this one did, which is then
            measured.
    """

    predictor: Predictor
    validation_logits: np.ndarray | None
    test_logits: np.ndarray
    train_seconds: float
    train_cpu_seconds: float
    train_flops: float
    peak_memory_mib: float
    trainable_parameters: int
    total_parameters: int
    cached: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    labels: int | None = None
    unreadable: np.ndarray | None = None
    train_dollars: float = 0.0
    remote: Usage | None = None


class Fit(ABC):
    """One approach: fits a job, and loads again what it saved."""

    @abstractmethod
    def fit(self, job: Job) -> Outcome:
        """Learns from the job's rows, answers validation and test, saves the model."""

    @abstractmethod
    def load(self, record: RunRecord, folder: Path) -> Predictor:
        """The saved model of a finished run, from its `model` folder."""
