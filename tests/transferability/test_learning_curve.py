"""The learning curve: a known power law comes back, the band holds what comes, and nothing is said too far out."""

import numpy as np
import pytest

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.transferability.learning_curve import fitted_errors, learning_curve


def blobs(rows, seed=0, width=30, apart=1.0, classes=4):
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width)) * apart
    labels = np.arange(rows) % classes
    return draw.normal(size=(rows, width)) * 2.0 + centres[labels], labels


@pytest.mark.parametrize(("floor", "scale", "power"), [(0.05, 0.9, 0.5), (0.0, 2.0, 1.0), (0.2, 0.0, 1.0)])
def test_a_power_law_is_found_again(floor, scale, power):
    rows, at = np.array([50.0, 100.0, 200.0, 400.0]), np.array([400.0, 800.0, 1600.0])
    errors = floor + scale * rows**-power
    found = fitted_errors(rows, errors[None], np.ones(4), at)[0]

    np.testing.assert_allclose(found, floor + scale * at**-power, atol=2e-3)


def test_the_floor_is_never_below_zero():
    rows = np.array([50.0, 100.0, 200.0])
    assert fitted_errors(rows, np.array([[0.5, 0.2, 0.0]]), np.ones(3), np.array([1e9]))[0, 0] >= 0.0


def test_a_curve_that_rises_with_more_rows_is_taken_as_flat():
    rows = np.array([50.0, 100.0, 200.0])
    found = fitted_errors(rows, np.array([[0.1, 0.2, 0.3]]), np.ones(3), np.array([400.0, 800.0]))[0]
    assert found == pytest.approx([0.2, 0.2])


def test_the_band_holds_the_accuracy_with_four_times_the_rows():
    inside = 0
    for seed in range(5):
        x, labels = blobs(1600, seed)
        curve = learning_curve(x[:400], labels[:400], 4)
        whole = learning_curve(x, labels, 4).points[-1].accuracy
        forecast = next(each for each in curve.forecasts if each.rows == 1600).accuracy
        inside += forecast.low - 0.01 <= whole <= forecast.high + 0.01
    assert inside >= 4


def test_features_that_say_it_all_are_saturated():
    x, labels = blobs(400, apart=5.0)
    assert learning_curve(x, labels, 4).saturated


def test_too_few_rows_have_no_curve():
    x, labels = blobs(16)
    assert learning_curve(x, labels, 4) is None


def test_beyond_four_times_the_data_nothing_is_said():
    x, labels = blobs(100)
    with pytest.raises(PlanError, match="must lie between 1 and 4"):
        learning_curve(x, labels, 4, furthest=8.0)
    assert max(each.rows for each in learning_curve(x, labels, 4).forecasts) == 400
