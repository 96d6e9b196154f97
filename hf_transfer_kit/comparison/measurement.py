"""How the numbers of a comparison were made: data, settings, versions, weights, from its records. Imports no torch."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from hf_transfer_kit.comparison.arms import Arm
from hf_transfer_kit.comparison.estimate import LEVEL, RESAMPLES
from hf_transfer_kit.comparison.result import PRETRAINED, DataSummary, Measurement
from hf_transfer_kit.records import ModelIdentity, RunRecord

CALIBRATION_BINS = 15


def data_summary(record: RunRecord) -> DataSummary:
    """Of the data that a record learned from and answered."""
    data = record.plan.data
    return DataSummary(
        path=data.path,
        config=data.config,
        revision=data.revision,
        task=record.task,
        label_names=record.label_names,
        rows=record.data.rows,
        hashes=record.data.hashes,
    )


def measurement_of(records: Sequence[RunRecord], command: str, dollars_per_hour: float | None) -> Measurement:
    """How `records` and what is made from them were measured; `command` repeats it, the machine has that price."""
    plan = records[0].plan
    return Measurement(
        validation_share=plan.data.validation_share,
        test_share=plan.data.test_share,
        split_seed=plan.data.split_seed,
        training=plan.training,
        resamples=RESAMPLES,
        level=LEVEL,
        calibration_bins=CALIBRATION_BINS,
        versions=_joined(record.versions for record in records),
        machine=_joined(record.machine for record in records),
        command=command,
        dollars_per_hour=dollars_per_hour,
    )


def _joined(mappings: Iterable[dict[str, str]]) -> dict[str, str]:
    """One mapping with the different values of each name joined."""
    values: dict[str, set[str]] = defaultdict(set)
    for mapping in mappings:
        for name, value in mapping.items():
            values[name].add(value)
    return {name: " / ".join(sorted(values[name])) for name in sorted(values)}


def models_of(arms: Sequence[Arm]) -> tuple[ModelIdentity, ...]:
    """The pre-trained weights the arms started from; a random start is none."""
    found = {
        record.model
        for arm in arms
        for record in arm.records
        if record.model is not None and arm.approach.name in PRETRAINED
    }
    return tuple(sorted(found, key=lambda model: (model.name, model.revision or "", model.weights_digest or "")))
