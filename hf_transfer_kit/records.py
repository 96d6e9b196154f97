"""RunRecord: what one run measured; JSON in and out.

A record is enough to compare runs without their models or data: the answer to every test item, the cost, and what it
takes to repeat the run (plan, seed, versions, hashes). Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_transfer_kit.errors import FormatError, PlanError
from hf_transfer_kit.plan import TransferPlan
from hf_transfer_kit.values import check_format, from_mapping, read_json, to_mapping, write_json

FORMAT = "hf_transfer_kit.record"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Exactly which weights a run started from.

    Fields:
        name: as in the plan.
        revision: commit of a Hub model; None for a local folder.
        weights_digest: hash of the start weights' files (a random start: of its configuration).
    """

    name: str
    revision: str | None = None
    weights_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataIdentity:
    """Exactly which rows a run saw.

    Fields:
        hashes: SHA-256 per part ("train", "validation", "test"), over contents, labels and order; of "train" and
            "validation" before a subset is drawn, so that all sizes of one comparison agree.
        rows: examples per part that the run used.
        labels: labelled examples it looked at, where those are fewer than the rows of train and validation: a prompt
            without examples looks at none.
    """

    hashes: dict[str, str]
    rows: dict[str, int]
    labels: int | None = None

    @property
    def labels_used(self) -> int:
        """Labelled examples the run could learn or choose from."""
        return self.rows["train"] + self.rows["validation"] if self.labels is None else self.labels


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScores:
    """The answers to the test items, in the order of the test part; five tuples of one length.

    Fields:
        labels, predictions: class numbers; a prediction of -1 is an answer that was none of the classes.
        confidence: probability of the predicted class, as the model gives it.
        calibrated_confidence: the same after temperature scaling fitted on validation (Guo et al. 2017).
        log_likelihood: log-probability of the true class after that scaling, nats.
    """

    labels: tuple[int, ...]
    predictions: tuple[int, ...]
    confidence: tuple[float, ...]
    calibrated_confidence: tuple[float, ...]
    log_likelihood: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in self.__slots__}
        if len(lengths) != 1:
            raise PlanError(f"item scores have different lengths {sorted(lengths)}; write the record again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OldSkill:
    """What a run still knows of the old task: answers to the test items of the old data, before and after.

    "Before" is the model every approach starts from, which has learned the old data. Class numbers are positions in
    the record's `label_names`. All tuples but `old_labels` have one length.

    Fields:
        data: of the old data.
        old_labels: the classes of the old data.
        labels: right answers.
        before, after: answers among all labels, old and new (class-incremental: nobody says which task an item is of).
        before_among_old, after_among_old: best answers among the old labels (task-incremental).
    """

    data: DataIdentity
    old_labels: tuple[int, ...]
    labels: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    before_among_old: tuple[int, ...]
    after_among_old: tuple[int, ...]

    def __post_init__(self) -> None:
        answers = (self.before, self.after, self.before_among_old, self.after_among_old)
        if any(len(each) != len(self.labels) for each in answers):
            raise PlanError("old answers have different lengths; write the record again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OldText:
    """What a run still knows of old text without labels, item by item, before and after.

    Fields:
        measure: "perplexity" (mean negative log-likelihood of each text's tokens under the model's own language
            model head, nats) or "probe" (1.0 where a fixed probe on the features still reads what it read before).
        digest: SHA-256 of the texts in their order.
        before, after: one number per text.
    """

    measure: str
    digest: str
    before: tuple[float, ...]
    after: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.before) != len(self.after):
            raise PlanError("old texts have different lengths before and after; write the record again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionCost:
    """What 1000 predictions cost, several at a time as a service would make them.

    Fields:
        seconds, flops: wall time and floating-point operations; 0 operations where another machine works.
        seconds_uncached, flops_uncached: the same where nothing is kept between predictions: a prompt's beginning is
            read again for every input. Equal to the above for models without a prompt.
        tokens_in, tokens_cached, tokens_out: prompt tokens read, those kept from before, label tokens.
        dollars: billed by a remote model.
    """

    seconds: float
    flops: float
    seconds_uncached: float
    flops_uncached: float
    tokens_in: float = 0.0
    tokens_cached: float = 0.0
    tokens_out: float = 0.0
    dollars: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run cost.

    Fields:
        train_seconds: wall time from loaded data to a model ready to answer, summed over interrupted attempts.
        train_cpu_seconds: processor time of the same, of the attempt that finished.
        train_flops: floating-point operations of the same, counted (a multiply-add is 2).
        peak_memory_mib: highest memory above that of the idle process: of the GPU where there is one, else of the
            process.
        trainable_parameters, total_parameters: counts.
        disk_mib: what has to be kept to answer later, without the pre-trained model it may stand on.
        ms_per_prediction: milliseconds for one input on its own, median.
        cached: True where the features came from an earlier run's cache; seconds and FLOPs then count that pass as it
            was measured when it was made.
        train_dollars: billed by a remote model before the first prediction: prompt search, calibration.
        thousand: what 1000 predictions cost; None in records from before that was measured.
    """

    train_seconds: float
    train_cpu_seconds: float
    train_flops: float
    peak_memory_mib: float
    trainable_parameters: int
    total_parameters: int
    disk_mib: float
    ms_per_prediction: float
    cached: bool = False
    train_dollars: float = 0.0
    thousand: PredictionCost | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Everything one run measured.

    Fields:
        plan: what was asked for.
        task: "text-classification" or "image-classification".
        label_names: class names; numbers elsewhere are positions in it.
        test: the answers to the test items.
        validation_accuracy: of the chosen state; what choices were made on; None where validation was not looked at.
        temperature: fitted on validation; 1 where that was not looked at.
        details: what the approach found out by itself: the layer chosen, the best epoch, cache used; plain values.
        versions: of Python and the libraries.
        machine: processor, cores, accelerator, processes.
        started, finished: UTC, ISO 8601.
        old, old_text: of runs with old data, unless the approach knows nothing of it (controls, a random start).
    """

    plan: TransferPlan
    task: str
    label_names: tuple[str, ...]
    model: ModelIdentity | None
    data: DataIdentity
    test: ItemScores
    validation_accuracy: float | None
    temperature: float
    cost: Cost
    details: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    started: str = ""
    finished: str = ""
    old: OldSkill | None = None
    old_text: OldText | None = None

    def to_mapping(self) -> dict[str, Any]:
        """The record as plain values, with `format` and `version` first."""
        record: dict[str, Any] = {"format": FORMAT, "version": VERSION} | to_mapping(self)
        return record | {"plan": self.plan.to_mapping()}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "record") -> "RunRecord":
        """The record in `mapping`.

        Raises:
            FormatError: not a record, of an unknown version, or with unknown, missing or wrong fields.
        """
        fields = check_format(mapping, name=FORMAT, version=VERSION, where=where)
        try:
            plan = TransferPlan.from_mapping(fields.pop("plan", None), f"{where}: plan")
            parts = from_mapping(_RecordWithoutPlan, fields, where)
        except PlanError as error:
            raise FormatError(str(error)) from error
        return cls(plan=plan, **{name: getattr(parts, name) for name in parts.__slots__})

    def save(self, path: Path) -> None:
        """Writes the record as JSON, atomically."""
        write_json(path, self.to_mapping())

    @classmethod
    def load(cls, path: Path | str) -> "RunRecord":
        """The record in a JSON file; raises FormatError as `from_mapping`."""
        return cls.from_mapping(read_json(Path(path)), where=str(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class _RecordWithoutPlan:
    """What `RunRecord.from_mapping` reads by annotation; the plan has a reader of its own."""

    task: str
    label_names: tuple[str, ...]
    model: ModelIdentity | None
    data: DataIdentity
    test: ItemScores
    validation_accuracy: float | None
    temperature: float
    cost: Cost
    details: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    started: str = ""
    finished: str = ""
    old: OldSkill | None = None
    old_text: OldText | None = None
