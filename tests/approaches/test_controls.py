"""The controls: answers by hand, and the same answers after loading."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hf_transfer_kit.approaches.approach import Job
from hf_transfer_kit.approaches.controls import MajorityFit, ShallowFit
from hf_transfer_kit.data.labelled import LabelledData
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.plan import DataSpec, Majority, Shallow, TransferPlan
from hf_transfer_kit.run import run
from hf_transfer_kit.tasks import get_task


def job_on(data: LabelledData, folder: Path, train_rows: np.ndarray | None = None) -> Job:
    return Job(
        plan=TransferPlan(data=DataSpec(path="x"), approach=Majority()),
        task=get_task(data.task),
        data=data,
        train_rows=np.arange(len(data.train)) if train_rows is None else train_rows,
        validation_rows=np.arange(len(data.validation)),
        folder=folder,
        events=EventWriter(folder / "events.jsonl"),
    )


def test_the_majority_answers_with_the_frequencies_of_the_rows_it_may_see(reviews: LabelledData, tmp_path: Path):
    """Three rows of one class and one of the other: (3 + 1) / 6 and (1 + 1) / 6 with one added to each."""
    labels = np.asarray(reviews.train["label"])
    rows = np.concatenate([np.flatnonzero(labels == 1)[:3], np.flatnonzero(labels == 0)[:1]])
    outcome = MajorityFit().fit(job_on(reviews, tmp_path, rows))
    assert outcome.test_logits.shape == (len(reviews.test), 2)
    assert outcome.validation_logits.shape == (len(reviews.validation), 2)
    np.testing.assert_allclose(np.exp(outcome.test_logits), np.tile([2 / 6, 4 / 6], (len(reviews.test), 1)))


@pytest.mark.parametrize("fit", [MajorityFit(), ShallowFit()], ids=lambda fit: type(fit).__name__)
def test_classes_of_old_data_alone_are_hardly_expected_and_change_little(fit, reviews: LabelledData, tmp_path: Path):
    """The same rows with five more classes that none of them has."""
    plain = fit.fit(job_on(reviews, tmp_path / "plain")).test_logits
    more = replace(reviews, label_names=(*reviews.label_names, "a", "b", "c", "d", "e"))
    logits = fit.fit(job_on(more, tmp_path / "more")).test_logits
    assert logits.shape == (len(reviews.test), 7) and np.isfinite(logits).all()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert 0 < shares[:, 2:].max() < 1e-3
    np.testing.assert_array_equal(logits[:, :2].argmax(axis=1), plain.argmax(axis=1))
    expected = np.exp(plain) / np.exp(plain).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares[:, :2], expected, atol=1e-3)


@pytest.mark.parametrize("fit", [MajorityFit(), ShallowFit()], ids=lambda fit: type(fit).__name__)
@pytest.mark.parametrize("kind", ["reviews", "pictures"])
def test_a_control_loads_again_and_gives_the_same_answers(request, tmp_path: Path, fit, kind: str):
    data = request.getfixturevalue(kind)
    job = job_on(data, tmp_path)
    outcome = fit.fit(job)
    record = run(TransferPlan(data=DataSpec(path=data_path(request, kind)), approach=Majority()), tmp_path / "run")
    loaded = fit.load(record, tmp_path / "model")
    for predictor in (outcome.predictor, loaded):
        np.testing.assert_allclose(predictor.logits(job.inputs("test")), outcome.test_logits, rtol=1e-6)
        np.testing.assert_allclose(predictor.logits(job.inputs("test")[:1]), outcome.test_logits[:1], rtol=1e-6)


def data_path(request, kind: str) -> str:
    return str(request.getfixturevalue({"reviews": "text_csv", "pictures": "image_folder"}[kind]))


@pytest.mark.parametrize("kind", ["reviews", "pictures"])
def test_the_shallow_control_learns_what_can_be_seen_without_a_model(request, tmp_path: Path, kind: str):
    data = request.getfixturevalue(kind)
    outcome = ShallowFit().fit(job_on(data, tmp_path))
    assert (outcome.test_logits.argmax(axis=1) == np.asarray(data.test["label"])).mean() >= 0.8
    assert outcome.trainable_parameters == outcome.total_parameters
    assert outcome.train_flops > 0
    assert outcome.details["features"] == get_task(data.task).shallow_name


def test_the_shallow_control_learns_no_word_of_validation_or_test(reviews: LabelledData, tmp_path: Path):
    outcome = ShallowFit().fit(job_on(reviews, tmp_path, np.arange(6)))
    words = {word for text in reviews.train.select(range(6))["input"] for word in text.split()}
    terms = {word for term in outcome.predictor._vocabulary.terms for word in term.split()}
    assert terms == words


@pytest.mark.parametrize("approach", [Majority(), Shallow()], ids=lambda approach: approach.name)
def test_a_control_runs_without_a_model(text_csv: Path, tmp_path: Path, approach):
    record = run(TransferPlan(data=DataSpec(path=str(text_csv)), approach=approach), tmp_path)
    assert record.model is None
    assert len(record.test.labels) == 24
    assert record.cost.disk_mib > 0
    assert run(record.plan, tmp_path) == record  # a finished run is only read


def test_a_damaged_model_folder_is_named(reviews: LabelledData, text_csv: Path, tmp_path: Path):
    ShallowFit().fit(job_on(reviews, tmp_path))
    record = run(TransferPlan(data=DataSpec(path=str(text_csv)), approach=Majority()), tmp_path / "run")
    for file in ("head.safetensors", "vocabulary.json"):
        content = (tmp_path / "model" / file).read_bytes()
        for damaged in (content[: len(content) // 2], b"", None):
            if damaged is None:
                (tmp_path / "model" / file).unlink()
            else:
                (tmp_path / "model" / file).write_bytes(damaged)
            with pytest.raises(TransferKitError, match=file.partition(".")[0]):
                ShallowFit().load(record, tmp_path / "model")
        (tmp_path / "model" / file).write_bytes(content)
