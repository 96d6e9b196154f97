"""The choice of a layer: by measurement, remembered, and never for other data."""

from pathlib import Path

import numpy as np
import pytest

from hf_transfer_kit.approaches import layer_choice
from hf_transfer_kit.approaches.layer_choice import LabelledFeatures, fit_best_head
from hf_transfer_kit.features import LayerFeatures, PassCost

COST = PassCost(rows=1, seconds=0.0, cpu_seconds=0.0, flops=0.0, parameters=1, peak_mib=0.0)


def layers(rows: int, apart: list[float], *, seed: int, key: str) -> LabelledFeatures:
    """Two gaussian classes in layers of width 6, further apart the larger `apart` is."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    side = (2 * labels - 1)[:, None]
    found = tuple((side * d + random.normal(size=(rows, 6))).astype(np.float32) for d in apart)
    features = LayerFeatures(layers=found, cost=COST, cached=True)
    return LabelledFeatures(key=key, features=features, rows=np.arange(rows), labels=labels)


def data(apart: list[float], key: str = "k") -> tuple[LabelledFeatures, LabelledFeatures]:
    return layers(120, apart, seed=1, key=f"{key}-train"), layers(60, apart, seed=2, key=f"{key}-validation")


@pytest.fixture
def probes(monkeypatch) -> list[int]:
    """One entry per call of the probe: how many layers it looked at."""
    calls: list[int] = []
    probe = layer_choice.choose_layer

    def counted(candidates, *args):
        calls.append(len(candidates))
        return probe(candidates, *args)

    monkeypatch.setattr(layer_choice, "choose_layer", counted)
    return calls


def test_the_layer_that_tells_the_classes_apart_is_chosen():
    choice, fit = fit_best_head(["0", "1", "2"], *data([0.0, 2.0, 0.2]), 2)
    assert choice.layer == "1"
    assert choice.leave_one_out["0"] < 0.7 < 0.95 < choice.leave_one_out["1"]
    assert fit.loss < 0.1


def test_where_the_probe_cannot_tell_layers_apart_validation_decides():
    """Layer 2 is the same as layer 3 on training rows, and noise on validation rows."""
    train, validation = data([0.0, 0.1, 0.5, 0.5])
    train.features.layers[2][:] = train.features.layers[3]
    noise = validation.features.layers[2]
    noise[:] = np.random.default_rng(0).normal(size=noise.shape)
    choice, _ = fit_best_head(["0", "1", "2", "3"], train, validation, 2)
    assert choice.leave_one_out["2"] == choice.leave_one_out["3"] > 0.8
    assert choice.layer == "3"


def test_among_many_perfect_layers_the_clearest_are_tried(monkeypatch):
    """Five layers without an error: those with the smallest left-out error get a head, not those that come first."""
    tried: list[str] = []
    fit_head = layer_choice._fit_head
    monkeypatch.setattr(layer_choice, "_fit_head", lambda layer, *rest: tried.append(layer) or fit_head(layer, *rest))
    choice, _ = fit_best_head(["0", "1", "2", "3", "4"], *data([2.0, 2.5, 9.0, 8.0, 7.0]), 2)
    assert set(choice.leave_one_out.values()) == {1.0}
    assert set(tried) == {"2", "3", "4"}


def test_the_second_time_nothing_is_fitted_and_all_is_the_same(probes: list[int]):
    train, validation = data([0.0, 0.6, 0.6])
    first, first_fit = fit_best_head(["0", "1", "2"], train, validation, 2)
    second, second_fit = fit_best_head(["0", "1", "2"], train, validation, 2)
    assert probes == [3]
    assert second == first
    np.testing.assert_array_equal(first_fit.head.weight, second_fit.head.weight)
    assert first.flops > 0  # of the heads that were tried besides
    assert first_fit.head.flops == second_fit.head.flops


@pytest.mark.parametrize("change", ["train key", "validation key", "labels", "rows", "layers"])
def test_what_the_choice_depends_on_makes_a_new_one(probes: list[int], change: str):
    (train, validation), names = data([0.0, 0.6, 0.6]), ["0", "1", "2"]
    fit_best_head(names, train, validation, 2)
    parts = {name: getattr(train, name) for name in ("key", "features", "rows", "labels")}
    if change == "train key":
        train = LabelledFeatures(**parts | {"key": "other"})
    elif change == "validation key":
        validation = data([0.0, 0.6, 0.6], key="other")[1]
    elif change == "labels":
        train = LabelledFeatures(**parts | {"labels": 1 - train.labels})
    elif change == "rows":
        train = LabelledFeatures(**parts | {"rows": np.roll(train.rows, 2)})
    else:
        names = ["0", "1"]
    fit_best_head(names, train, validation, 2)
    assert len(probes) == 2


@pytest.mark.parametrize("content", ["", "{}", '{"layer": "9"}', "[1]"])
def test_a_damaged_memory_is_made_anew(probes: list[int], own_cache: Path, content: str):
    train, validation = data([0.0, 0.6, 0.6])
    first, _ = fit_best_head(["0", "1", "2"], train, validation, 2)
    (path,) = (own_cache / "choices").iterdir()
    path.write_text(content)
    second, _ = fit_best_head(["0", "1", "2"], train, validation, 2)
    third, _ = fit_best_head(["0", "1", "2"], train, validation, 2)
    assert len(probes) == 2
    assert first.layer == second.layer == third.layer


def test_a_cache_that_cannot_be_written_stops_no_run(tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_TRANSFER_KIT_CACHE", str(tmp_path / "file" / "cache"))
    choice, _ = fit_best_head(["0", "1"], *data([0.0, 1.0]), 2)
    assert choice.layer == "1"
