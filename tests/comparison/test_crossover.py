import dataclasses
import math

import numpy as np
import pytest
from synthetic_records import hits, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.crossover import Curve, between, last_crossing
from hf_transfer_kit.comparison.prompt_result import Crossover
from hf_transfer_kit.comparison.prompting_verdict import in_words
from hf_transfer_kit.plan import Features, FewShot, Full, Prototype, Scratch, Shallow, ZeroShot


def curve(name, points, shifts=(0.0,)):
    """Accuracy by labels used; one resample for every shift, the whole curve moved by it."""
    labels, accuracy = (np.array(numbers, dtype=float) for numbers in zip(*points, strict=True))
    return Curve(name=name, labels=labels, accuracy=accuracy, samples=accuracy + np.array(shifts)[:, None])


def straight(name, slope, at_100, labels, shifts=(0.0,)):
    """A straight line over log10 labels through (100, at_100)."""
    return curve(name, [(n, at_100 + slope * math.log10(n / 100)) for n in labels], shifts)


def test_two_straight_lines_cross_where_arithmetic_says():
    """0.6 + 0.1 x = 0.5 + 0.3 x at x = 0.5: at 100 * 10^0.5 labels, whatever numbers were measured."""
    prompts = straight("prototype", 0.1, 0.6, (10, 90, 1100, 4000))

    for measured in ((20, 5000), (12, 70, 300, 900), (50, 316, 317, 2000)):
        found = between([prompts], [straight("full", 0.3, 0.5, measured)])

        assert found.labels == pytest.approx(100 * 10**0.5, rel=1e-6)
        assert (found.first, found.last) == (measured[0], measured[-1])
        assert (found.prompting, found.trained) == ("prototype", "full")


def test_an_arm_without_labels_is_a_horizontal_line_over_the_whole_range():
    found = between([curve("zero_shot", [(0, 0.6)])], [straight("full", 0.3, 0.5, (20, 2000))])

    assert found.labels == pytest.approx(100 * 10 ** (1 / 3))  # 0.5 + 0.3 x = 0.6
    assert found.first == 20


def test_a_prompt_that_needs_no_more_labels_stays_as_it_is():
    found = between([curve("few_shot", [(16, 0.6)])], [straight("full", 0.3, 0.5, (20, 2000))])

    assert found.labels == pytest.approx(100 * 10 ** (1 / 3))


def test_the_range_begins_where_both_sides_are_known_and_ends_with_the_trained_one():
    found = between([curve("few_shot", [(64, 0.6), (9000, 0.6)])], [straight("full", 0.3, 0.5, (20, 2000))])

    assert (found.first, found.last) == (64, 2000)


def test_each_side_is_the_best_of_its_arms_at_every_number_of_labels():
    zero, few = curve("zero_shot", [(0, 0.6)]), straight("few_shot", 0.2, 0.6, (20, 2000))
    fast, slow = straight("features", 0.1, 0.55, (20, 2000)), straight("full", 0.4, 0.4, (20, 2000))

    found = between([zero, few], [fast, slow])

    # few_shot is above zero_shot from 100 on, and full above features; 0.6 + 0.2 x = 0.4 + 0.4 x at x = 1
    assert found.labels == pytest.approx(1000)
    assert (found.prompting, found.trained) == ("few_shot", "full")


def test_an_arm_is_not_known_below_its_fewest_labels():
    early, late = straight("features", 0.3, 0.5, (20, 2000)), curve("full", [(900, 0.95), (2000, 0.95)])

    found = between([curve("zero_shot", [(0, 0.6)])], [early, late])

    assert found.labels == pytest.approx(100 * 10 ** (1 / 3))
    assert found.trained == "features"


def test_the_interval_is_that_of_the_crossings_of_the_resamples():
    """The trained line moves by d, the prompt does not: the crossing moves to 0.6 = 0.5 + d + 0.3 x."""
    shifts = np.linspace(-0.1, 0.1, 1001)
    trained = straight("full", 0.3, 0.5, (20, 2000), shifts)

    found = between([curve("zero_shot", [(0, 0.6)], np.zeros(1001))], [trained])

    assert found.low == pytest.approx(100 * 10 ** ((0.1 - 0.095) / 0.3), rel=2e-3)
    assert found.high == pytest.approx(100 * 10 ** ((0.1 + 0.095) / 0.3), rel=2e-3)
    assert found.ahead == "undecided"


def test_resamples_in_which_both_sides_move_together_do_not_widen_the_interval():
    shifts = np.linspace(-0.1, 0.1, 101)

    found = between([curve("zero_shot", [(0, 0.6)], shifts)], [straight("full", 0.3, 0.5, (20, 2000), shifts)])

    assert found.low == pytest.approx(found.high)


def test_ends_of_the_interval_beyond_the_range_are_open():
    trained = straight("full", 0.3, 0.5, (80, 300), np.linspace(-0.2, 0.2, 101))

    found = between([curve("zero_shot", [(0, 0.6)], np.zeros(101))], [trained])

    assert found.labels == pytest.approx(100 * 10 ** (1 / 3))
    assert (found.low, found.high) == (0, None)
    assert found.is_open


@pytest.mark.parametrize(
    ("level", "labels", "ahead"), [(0.9, None, "prompting"), (0.1, 0, "training"), (0.6, 215, "undecided")]
)
def test_where_one_side_is_always_ahead_there_is_no_number(level, labels, ahead):
    zero = curve("zero_shot", [(0, level)], np.zeros(50))

    found = between([zero], [straight("full", 0.3, 0.5, (20, 2000), np.linspace(-0.01, 0.01, 50))])

    assert (found.labels if not labels else round(found.labels)) == labels
    assert found.ahead == ahead


def test_a_curve_that_crosses_several_times_counts_where_it_stays_ahead():
    labels = np.array([10.0, 20.0, 40.0, 80.0])

    assert last_crossing(labels, np.array([[0.1, -0.1, 0.1, 0.2]]))[0] == pytest.approx(20 * 2**0.5)
    assert last_crossing(labels, np.array([[0.1, 0.1, 0.1, 0.0]]))[0] == np.inf  # level at the end is not ahead
    assert last_crossing(labels, np.array([[-0.1, 0.0, 0.1, 0.1]]))[0] == pytest.approx(20)


def test_crossings_agree_with_a_search_by_hand():
    rng = np.random.default_rng(0)
    labels = np.array([10.0, 30.0, 100.0, 250.0, 1000.0])
    leads = rng.normal(size=(200, 5))
    fine = np.geomspace(10, 1000, 200_001)

    for lead, found in zip(leads, last_crossing(labels, leads), strict=True):
        behind = np.interp(np.log(fine), np.log(labels), lead) <= 0
        by_hand = np.inf if behind[-1] else 0 if not behind.any() else fine[np.flatnonzero(behind)[-1]]
        assert found == pytest.approx(by_hand, rel=1e-4)


# Accuracies (percent) by labels of in-context learning (Llama-2-7b-80k) and fine-tuning: Bertsch et al. 2024
# (arXiv:2405.00200), whose result files are public. TREC has 6 classes, TREC-fine 50, Banking77 77.
PUBLISHED = {
    "trec": (
        [(100, 85.6), (250, 87.8), (500, 88.6)],
        [(128, 82.2), (256, 88.3), (512, 91.3), (1024, 95.1)],
    ),
    "trec fine": ([(500, 74.3), (1000, 75.7)], [(512, 71.5), (1024, 79.3)]),
    "banking77": (
        [(100, 58.6), (250, 75.8), (500, 83.0), (1000, 86.7), (1500, 88.1)],
        [(256, 51.9), (512, 53.3), (1024, 69.1), (2048, 77.9), (4096, 87.0), (8192, 91.6)],
    ),
}


def test_published_curves_cross_later_the_more_classes_there_are():
    found = {
        name: between([curve("prompt", prompts)], [curve("full", trained)]).labels
        for name, (prompts, trained) in PUBLISHED.items()
    }

    assert 200 < found["trec"] < 256
    assert 512 < found["trec fine"] < 1024
    assert 4096 < found["banking77"] < 8192


# --- from records ---------------------------------------------------------------------------------------------------


def learning_records(**extra):
    """At 50, 200, 1000 examples; 20 validation labels come on top for features, and not for the prompt."""
    records = []
    for size, prompted, trained in ((50, 200, 120), (200, 240, 220), (1000, 260, 330)):
        for seed in range(2):
            records += [
                make_record(hits(prompted + seed, 400), Prototype(), train_size=size, labels=size, seed=seed),
                make_record(hits(trained + seed, 400), Features(), train_size=size, seed=seed),
            ]
    return [*records, make_record(hits(180, 400), ZeroShot(), train_size=3000, labels=0)]


def test_labels_of_validation_count_for_those_that_look_at_them():
    comparison = compare(learning_records())

    found = comparison.crossover
    # straight over log labels: the prompt from (200, 0.60125) to (1000, 0.65125), features from (220, 0.55125)
    # to (1020, 0.82625)
    by_hand = min(
        np.geomspace(220, 1000, 100_000),
        key=lambda n: abs(
            0.60125
            + 0.05 * math.log(n / 200) / math.log(5)
            - 0.55125
            - 0.275 * math.log(n / 220) / math.log(1020 / 220)
        ),
    )
    assert found.labels == pytest.approx(by_hand, rel=1e-3)
    assert found.low < found.labels < found.high
    assert (found.prompting, found.trained, found.first, found.last) == ("prototype", "features", 70, 1020)


def test_neither_controls_nor_a_random_start_are_a_side():
    others = [
        make_record(hits(390, 400), approach, train_size=size, seed=seed)
        for approach in (Shallow(), Scratch())
        for size in (50, 200, 1000)
        for seed in range(2)
    ]

    assert compare([*learning_records(), *others]).crossover == compare(learning_records()).crossover


def test_one_size_or_one_side_has_no_crossover():
    one_size = [record for record in learning_records() if record.data.rows["train"] in (1000, 3000)]
    prompts = [record for record in learning_records() if record.plan.approach.name != "features"]

    assert compare(one_size).crossover is None
    assert compare(prompts).crossover is None
    assert compare([make_record(hits(10, 20), Full(), train_size=size) for size in (20, 40)]).crossover is None


def test_few_shot_with_the_same_labels_at_every_size_is_one_point():
    records = learning_records()
    few = [
        make_record(hits(right, 400), FewShot(), train_size=size, labels=16, seed=seed)
        for size, right in ((50, 100), (200, 100), (1000, 300))
        for seed in range(2)
    ]

    found = compare([*records, *few]).crossover

    assert found.prompting == "few_shot"  # 0.75 everywhere: that of the largest size
    assert found.labels > 500


# --- in words -------------------------------------------------------------------------------------------------------

FOUND = Crossover(prompting="prototype", trained="features", labels=252.3, low=200.4, high=308.2, first=30, last=1500)


@pytest.mark.parametrize(
    ("labels", "low", "high", "words"),
    [
        (252.3, 200.4, 308.2, "Prompting is ahead below about 250 labels [200, 310] (prototype against features)"),
        (252.3, 0, 308.2, "Prompting is ahead below about 250 labels [fewer than 30, 310]"),
        (252.3, 200.4, None, "Prompting is ahead below about 250 labels [200, more than 1500]"),
        (252.3, 0, None, "Whether prompting or fine-tuning is ahead between 30 and 1500 labels is within the error"),
        (
            None,
            None,
            None,
            "Prompting is still ahead with 1500 labels, the most measured (prototype against features)",
        ),
        (None, 400.0, None, "but fine-tuning may be ahead from about 400 on: that is within the error"),
        (None, 0, None, "is within the error (prototype against features)"),
        (0, 0, 0, "Fine-tuning is ahead from the fewest labels measured (30) on (prototype against features)"),
        (0, 0, 60.0, "on (prototype against features), but prompting may be ahead below 60: that is within the error"),
    ],
)
def test_the_crossover_in_words_claims_no_more_than_its_interval(labels, low, high, words):
    assert words in in_words(dataclasses.replace(FOUND, labels=labels, low=low, high=high))
