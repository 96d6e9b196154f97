import doctest

import pytest

from hf_transfer_kit.reporting import quantities
from hf_transfer_kit.reporting.quantities import points, seconds, training_time


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(quantities).failed == 0


def test_points_never_hide_on_which_side_of_zero_a_bound_lies():
    for share in (1e-5, -1e-5, 4e-4, -4.9e-4):
        assert float(points(share)) * share > 0
    assert points(-1e-12) == "0.0"


def test_durations_roll_over_into_the_next_unit():
    assert [seconds(value) for value in (0.9996, 59.4, 59.7, 3599.6)] == ["1.0 s", "59 s", "1 min 0 s", "1 h 0 min"]


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (0, "less than a thousandth"),
        (0.0013, "a thousandth"),
        (0.011, "a hundredth"),
        (0.31, "a third"),
        (0.52, "half"),
        (0.79, "three quarters"),
        (1.0, "about the same"),
        (1.3, "1.3 times"),
        (99.7, "100 times"),
        (12345, "12,340 times"),
    ],
)
def test_ratios_are_said_in_words(ratio, words):
    assert training_time(ratio).startswith(words + " ")
