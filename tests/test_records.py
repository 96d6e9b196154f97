"""Records: JSON in and out; nothing unknown, nothing missing, no NaN."""

import dataclasses
import json
from pathlib import Path

import pytest
from synthetic_records import make_record

from hf_transfer_kit.errors import FormatError, PlanError
from hf_transfer_kit.plan import Features, Full, Lora, Majority, Scratch, Shallow, TopLayers
from hf_transfer_kit.records import ItemScores, RunRecord

RECORD = dataclasses.replace(
    make_record([1, 0, 1]), details={"layer": "3", "leave_one_out": {"0": 0.5}, "rates": [1, 2.5], "none": None}
)


def edited(**changes) -> dict:
    """The record's mapping; "a.b" names a nested key, and None takes it out."""
    mapping = json.loads(json.dumps(RECORD.to_mapping()))
    for name, value in changes.items():
        *parents, last = name.split("__")
        place = mapping
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return mapping


@pytest.mark.parametrize(
    "approach", [Majority(), Shallow(), Features(layer=-1), TopLayers(), Full(), Lora(), Scratch()], ids=repr
)
def test_a_record_comes_back_as_it_was(tmp_path: Path, approach):
    record = dataclasses.replace(make_record([1, 0, 1], approach, train_size=64, seed=3), details=RECORD.details)
    record.save(tmp_path / "record.json")
    assert RunRecord.load(tmp_path / "record.json") == record
    assert record.data.labels_used == 64 + 20


def test_the_file_begins_with_its_format(tmp_path: Path):
    RECORD.save(tmp_path / "record.json")
    assert list(json.loads((tmp_path / "record.json").read_text()))[:2] == ["format", "version"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "record has version 2 of hf_transfer_kit.record"),
        ({"format": "hf_transfer_kit.plan"}, "record has format 'hf_transfer_kit.plan'; expected"),
        ({"tusk": "x"}, "record: unknown setting 'tusk'; did you mean 'task'?"),
        ({"cost__train_second": 1}, "record.cost: unknown setting 'train_second'; did you mean 'train_seconds'?"),
        ({"plan__sead": 1}, "record: plan: unknown setting 'sead'; did you mean 'seed'?"),
        ({"plan__version": 2}, "record: plan has version 2 of hf_transfer_kit.plan"),
        ({"plan": None}, "record: plan has no 'format' key"),
        ({"test": None}, "record: setting 'test' is missing"),
        ({"cost__disk_mib": "big"}, "record.cost.disk_mib is 'big'; it must be a number"),
        ({"test__labels": [0.5, 1, 0]}, "record.test.labels[0] is 0.5; it must be a whole number."),
        ({"test__labels": [0, 1]}, "item scores have different lengths [2, 3]"),
        ({"temperature": float("nan")}, "record.temperature is nan; it must be a finite number."),
        ({"model": "m"}, "record.model is 'm'; it must be a mapping"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes: dict, message: str):
    with pytest.raises(FormatError) as caught:
        RunRecord.from_mapping(edited(**changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_that_went_wrong_leaves_no_record(tmp_path: Path):
    with pytest.raises(FormatError, match="NaN or infinite"):
        dataclasses.replace(RECORD, temperature=float("nan")).save(tmp_path / "record.json")
    assert list(tmp_path.iterdir()) == []


def test_item_scores_have_one_length():
    with pytest.raises(PlanError, match=r"different lengths \[1, 2\]"):
        ItemScores(labels=(0, 1), predictions=(0, 1), confidence=(0.5,), calibrated_confidence=(0.5, 0.5),
                   log_likelihood=(-1.0, -1.0))  # fmt: skip
