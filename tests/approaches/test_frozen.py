"""Frozen features: the same answers after loading, costs by share, and a cache that the model is not loaded for."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hf_transfer_kit.approaches import frozen
from hf_transfer_kit.approaches.approach import Job, Outcome
from hf_transfer_kit.approaches.frozen import FeaturesFit
from hf_transfer_kit.data.labelled import LabelledData, load_data
from hf_transfer_kit.errors import ModelError, PlanError, TransferKitError
from hf_transfer_kit.events import EventWriter, read_events
from hf_transfer_kit.features import extract
from hf_transfer_kit.plan import DataSpec, Features, ModelSpec, TransferPlan
from hf_transfer_kit.run import run
from hf_transfer_kit.tasks import TASKS, get_task

Fit = Callable[..., tuple[Job, Outcome]]


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """Fits the features approach; every call has a run folder of its own and the test's cache."""
    numbers = iter(range(100))

    def fit_on(
        data: LabelledData, model: Path, layer: str | int = "auto", rows: int | None = None, max_length: int = 16
    ) -> tuple[Job, Outcome]:
        folder = tmp_path / f"run-{next(numbers)}"
        job = Job(
            plan=TransferPlan(
                data=DataSpec(path="x", max_length=max_length),
                model=ModelSpec(name=str(model)),
                approach=Features(layer=layer),
            ),
            task=get_task(data.task),
            data=data,
            train_rows=np.arange(len(data.train))[:rows],
            validation_rows=np.arange(len(data.validation))[:rows],
            folder=folder,
            events=EventWriter(folder / "events.jsonl"),
        )
        return job, FeaturesFit().fit(job)

    return fit_on


@pytest.fixture
def no_model(monkeypatch) -> None:
    """From here on, loading a model fails."""
    for task in TASKS.values():
        monkeypatch.setattr(type(task), "load_backbone", lambda *_: pytest.fail("the model was loaded"))


@pytest.mark.parametrize("layer", ["auto", "mean", 1, -1])
def test_a_run_on_text_answers_the_same_after_loading(text_csv: Path, tiny_bert: Path, tmp_path: Path, layer):
    plan = TransferPlan(
        data=DataSpec(path=str(text_csv), max_length=16),
        model=ModelSpec(name=str(tiny_bert)),
        approach=Features(layer=layer),
    )
    record = run(plan, tmp_path / "run")
    data = load_data(plan.data)
    predictor = FeaturesFit().load(record, tmp_path / "run" / "model")
    logits = predictor.logits(data.test["input"])
    assert tuple(logits.argmax(axis=1)) == record.test.predictions
    np.testing.assert_allclose(predictor.logits(data.test["input"][:1]), logits[:1], atol=1e-4)
    expected = {"mean": "mean", 1: "1", -1: "3"}
    assert record.details["layer"] == expected.get(layer, record.details["layer"])
    assert record.details["layers"] == 4
    assert record.model is not None and record.model.weights_digest


def test_fit_and_load_agree_on_images(fit: Fit, pictures: LabelledData, tiny_image_model: Path, image_folder: Path):
    job, outcome = fit(pictures, tiny_image_model)
    plan = replace(job.plan, data=DataSpec(path=str(image_folder)))
    record = run(plan, job.folder / "again")
    loaded = FeaturesFit().load(record, job.folder / "model")
    for predictor in (outcome.predictor, loaded):
        np.testing.assert_allclose(predictor.logits(job.inputs("test")), outcome.test_logits, atol=1e-4)
    assert (outcome.test_logits.argmax(axis=1) == np.asarray(pictures.test["label"])).mean() >= 0.8


def test_the_logits_are_the_head_on_the_layer_of_the_model(fit: Fit, reviews: LabelledData, tiny_bert: Path):
    """By hand: an unpadded pass for every text, and the saved numbers."""
    from safetensors.numpy import load_file

    job, outcome = fit(reviews, tiny_bert, layer=2)
    head = load_file(job.folder / "model" / "head.safetensors")
    model, task = ModelSpec(name=str(tiny_bert)), job.task
    parts = task, task.load_backbone(model), task.load_processor(model)
    for part, logits in (("validation", outcome.validation_logits), ("test", outcome.test_logits)):
        layer = extract(*parts, job.inputs(part), max_length=16, batch_size=1).layers[2]
        np.testing.assert_allclose(layer @ head["weight"] + head["bias"], logits, atol=1e-3)


def test_the_second_run_loads_no_model(fit: Fit, reviews: LabelledData, tiny_bert: Path, request):
    first_job, first = fit(reviews, tiny_bert)
    request.getfixturevalue("no_model")
    job, second = fit(reviews, tiny_bert)
    np.testing.assert_array_equal(first.test_logits, second.test_logits)
    assert (first.cached, second.cached) == (False, True)
    assert "features" in {event.stage for event in read_events(first_job.folder / "events.jsonl")}
    assert "features" not in {event.stage for event in read_events(job.folder / "events.jsonl")}


def test_the_second_run_costs_what_the_first_one_cost(fit: Fit, reviews: LabelledData, tiny_bert: Path):
    """Seconds differ by the fit of one head; operations are the same to the last one."""
    (_, first), (_, second) = fit(reviews, tiny_bert), fit(reviews, tiny_bert)
    assert second.train_flops == first.train_flops > 0
    assert abs(second.train_seconds - first.train_seconds) < 0.1 * first.train_seconds + 0.1
    assert second.total_parameters == first.total_parameters > second.trainable_parameters == 32 * 2 + 2


@pytest.mark.parametrize("change", ["data", "weights", "max_length"])
def test_what_the_features_depend_on_makes_a_new_pass(
    fit: Fit, reviews: LabelledData, tiny_bert: Path, tmp_path: Path, own_cache: Path, change: str
):
    fit(reviews, tiny_bert)
    before = {path.name for path in (own_cache / "features").iterdir()}
    data, model, max_length = reviews, tiny_bert, 16
    if change == "data":
        data = replace(reviews, hashes=dict(reviews.hashes) | {"train": "0" * 64})
    elif change == "weights":
        model = tmp_path / "other"
        shutil.copytree(tiny_bert, model)
        weights = bytearray((model / "model.safetensors").read_bytes())
        weights[-1] ^= 1
        (model / "model.safetensors").write_bytes(weights)
    else:
        max_length = 8
    _, outcome = fit(data, model, max_length=max_length)
    new = {path.name for path in (own_cache / "features").iterdir()} - before
    assert len(before) == 3
    assert len(new) == (1 if change == "data" else 3)
    assert not outcome.cached


def test_a_damaged_cache_is_made_anew(fit: Fit, reviews: LabelledData, tiny_bert: Path, own_cache: Path):
    _, first = fit(reviews, tiny_bert)
    for path in own_cache.rglob("*.*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:20])
    _, second = fit(reviews, tiny_bert)
    assert not second.cached
    np.testing.assert_allclose(first.test_logits, second.test_logits, atol=1e-4)


def test_a_subset_pays_for_its_share_of_the_pass(fit: Fit, reviews: LabelledData, tiny_bert: Path, own_cache: Path):
    """The pass is cached for all rows. 16 of 78 train rows and 16 of 18 validation rows pay their share of it."""
    fit(reviews, tiny_bert, layer=1)
    costs = {}
    for path in own_cache.rglob("cost.json"):
        cost = json.loads(path.read_text())
        cost |= {"seconds": 1000.0, "cpu_seconds": 500.0, "flops": 1e15, "load_seconds": 10.0, "load_cpu_seconds": 5.0}
        path.write_text(json.dumps(cost))
        costs[cost["rows"]] = cost
    assert set(costs) == {78, 18, 24}
    _, outcome = fit(reviews, tiny_bert, layer=1, rows=16)
    share = 16 / 78 + 16 / 18
    assert 0 < outcome.train_seconds - (10.0 + 1000 * share) < 5
    assert 0 < outcome.train_cpu_seconds - (5.0 + 500 * share) < 5
    np.testing.assert_allclose(outcome.train_flops, 1e15 * share, rtol=1e-3)


def test_a_subset_learns_from_its_rows_alone(fit: Fit, reviews: LabelledData, tiny_bert: Path):
    """Turning the labels of all other rows around changes nothing."""
    _, plain = fit(reviews, tiny_bert, rows=16)
    labels = np.asarray(reviews.train["label"]).copy()
    labels[16:] = 1 - labels[16:]
    train = reviews.train.remove_columns("label").add_column("label", labels)
    _, turned = fit(replace(reviews, train=train), tiny_bert, rows=16)
    np.testing.assert_array_equal(plain.test_logits, turned.test_logits)


@pytest.mark.parametrize("layer", [4, -5, 100])
def test_a_layer_that_is_not_there_is_named(fit: Fit, reviews: LabelledData, tiny_bert: Path, layer: int):
    with pytest.raises(PlanError, match=rf"features\.layer={layer}: the model has layers 0 to 3; use one of them"):
        fit(reviews, tiny_bert, layer=layer)


def test_a_model_that_changed_since_the_run_is_not_asked(text_csv: Path, tiny_bert: Path, tmp_path: Path):
    model = tmp_path / "model"
    shutil.copytree(tiny_bert, model)
    plan = TransferPlan(
        data=DataSpec(path=str(text_csv)), model=ModelSpec(name=str(model)), approach=Features(layer="mean")
    )
    record = run(plan, tmp_path / "run")
    config = json.loads((model / "config.json").read_text()) | {"hidden_act": "relu"}
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"model '.*model' has changed since this run"):
        FeaturesFit().load(record, tmp_path / "run" / "model").logits(["good"])
    shutil.rmtree(model)
    with pytest.raises(ModelError, match="does not exist"):
        FeaturesFit().load(record, tmp_path / "run" / "model").logits(["good"])


def test_a_damaged_model_folder_is_named(text_csv: Path, tiny_bert: Path, tmp_path: Path):
    plan = TransferPlan(data=DataSpec(path=str(text_csv)), model=ModelSpec(name=str(tiny_bert)), approach=Features())
    record = run(plan, tmp_path)
    for file in ("head.safetensors", "features.json"):
        content = (tmp_path / "model" / file).read_bytes()
        for damaged in (content[: len(content) // 2], b"{}"):
            (tmp_path / "model" / file).write_bytes(damaged)
            with pytest.raises(TransferKitError, match=file.partition(".")[0]):
                FeaturesFit().load(record, tmp_path / "model")
        (tmp_path / "model" / file).write_bytes(content)


def test_an_interrupted_pass_continues_with_the_parts_that_are_missing(
    fit: Fit, reviews: LabelledData, tiny_bert: Path, own_cache: Path, monkeypatch
):
    passed: list[int] = []

    def interrupted(*args, **settings):
        passed.append(len(args[3]))
        if len(passed) == 2:
            raise KeyboardInterrupt
        return extract(*args, **settings)

    monkeypatch.setattr(frozen, "extract", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(reviews, tiny_bert)
    fit(reviews, tiny_bert)
    assert passed == [78, 18, 18, 24]
