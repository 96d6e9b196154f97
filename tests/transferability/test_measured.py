"""Scores of one layer and of one model: each number is that of its own estimator and of its own layer."""

import numpy as np
import pytest

from hf_transfer_kit.eigen import decompose
from hf_transfer_kit.features import LayerFeatures, PassCost
from hf_transfer_kit.probe import LeaveOneOut, ridge_leave_one_out
from hf_transfer_kit.records import ModelIdentity
from hf_transfer_kit.transferability import measured
from hf_transfer_kit.transferability.h_score import h_score
from hf_transfer_kit.transferability.knn import knn_leave_one_out
from hf_transfer_kit.transferability.log_me import log_me
from hf_transfer_kit.transferability.measured import MeasuredModel, score_model
from hf_transfer_kit.transferability.scores import LayerEvidence, score_layer

COST = PassCost(rows=100, seconds=2.0, cpu_seconds=1.0, flops=5e9, parameters=7, peak_mib=1.0)


def features(*layers):
    return LayerFeatures(layers=layers, cost=COST, cached=True)


def task(apart, rows=60, width=6, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.arange(rows) % 3)
    return (draw.normal(size=(rows, width)) + apart * np.eye(width)[labels]).astype(np.float32), labels


def test_each_score_of_a_layer_is_that_of_its_estimator():
    x, labels = task(1.0)
    found = score_layer(x, labels, 3)

    assert found.ridge.hits.tolist() == ridge_leave_one_out(x, labels, 3).hits.tolist()
    assert found.knn.tolist() == knn_leave_one_out(x, labels, 3).tolist()
    assert found.values == (
        found.ridge.accuracy, found.knn.mean(), h_score(decompose(x), labels, 3), log_me(decompose(x), labels, 3),
    )  # fmt: skip


def test_the_layer_that_tells_the_classes_apart_is_the_best_and_the_last_stays_the_last():
    telling, labels = task(3.0)
    layers = [task(0.0, seed=1)[0], telling, task(0.0, seed=2)[0]]
    found = score_model(features(*layers), labels, 3)

    assert list(found.evidence) == ["0", "1", "2", "mean"]
    assert (found.best, found.last) == ("1", "2")
    assert found.chosen is found.evidence["1"]


def made_up(ridge, others, error):
    hits = np.arange(10) < 10 * ridge
    return LayerEvidence(
        width=1, ridge=LeaveOneOut(hits=hits, squared_error=error, strength=1.0), knn=np.arange(10) < 10 * others,
        h_score=others, log_me=ridge,
    )  # fmt: skip


@pytest.mark.parametrize(("errors", "best"), [((0.2, 0.1), "1"), ((0.1, 0.2), "0")])
def test_of_layers_with_equal_mean_rank_the_one_with_the_smaller_error_is_best(monkeypatch, errors, best):
    evidence = iter([made_up(0.9, 0.1, errors[0]), made_up(0.1, 0.9, errors[1])])
    monkeypatch.setattr(measured, "score_layer", lambda *_: next(evidence))
    assert score_model(features(np.ones((10, 1)), np.ones((10, 2))), np.arange(10) % 2, 2).best == best


def test_the_price_is_of_one_row():
    x, labels = task(1.0)
    model = MeasuredModel(
        model=ModelIdentity(name="a"), features=features(x), scored=score_model(features(x), labels, 3), random=None
    )
    assert (model.price.ms_per_row, model.price.flops_per_row, model.price.parameters) == (20.0, 5e7, 7)
    assert model.price.cached
