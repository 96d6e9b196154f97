import dataclasses
import re

import numpy as np
import pytest
from synthetic_records import hits, make_cost, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.comparison.result import ArmResult, Scores
from hf_transfer_kit.comparison.verdict import decide, more_test_items, negative_transfer
from hf_transfer_kit.plan import Features, Full, Lora, Majority, Scratch, Shallow


def make_arm(name, accuracy, behind=None, *, seconds=1.0, approach=None, over_control=None, over_scratch=None):
    """An arm; intervals are (value, low, high)."""

    def estimate(numbers):
        return None if numbers is None else Estimate(value=numbers[0], low=numbers[1], high=numbers[2])

    around = Estimate(value=accuracy, low=accuracy - 0.02, high=accuracy + 0.02)
    return ArmResult(
        name=name, approach=approach or name, model="hub/mini", train_size=100, labels_used=120, seeds=(0, 1, 2),
        accuracies=(accuracy,) * 3, behind_best=estimate(behind), gain_over_control=estimate(over_control),
        gain_over_scratch=estimate(over_scratch), cost=make_cost(seconds),
        scores=Scores(accuracy=around, macro_f1=accuracy, calibration_error=0.1, calibrated_error=0.02),
    )  # fmt: skip


def test_the_cheaper_of_two_level_arms_is_the_advice():
    best = make_arm("full", 0.881, seconds=100)
    verdict = decide([best, make_arm("features", 0.875, (0.006, -0.004, 0.016), seconds=10)], test_items=4000)

    assert verdict.sentence == (
        "features is as good as full within the error (0.6 points behind, 95% interval -0.4 to 1.6) and costs a tenth "
        "of the training time: use it."
    )
    assert (
        verdict.next_step == "About 7100 more test items would decide between them."
    )  # 4000 * (0.010 / 0.006)^2 - 4000
    assert (verdict.recommended, verdict.tied, verdict.more_test_items) == ("features", ("full", "features"), 7100)


def test_the_most_accurate_arm_may_be_the_cheap_one_without_being_called_the_winner():
    best = make_arm("features", 0.881, seconds=50)
    verdict = decide([best, make_arm("full", 0.875, (0.006, -0.004, 0.016), seconds=100)], test_items=4000)

    assert verdict.sentence == (
        "features is as good as full within the error (0.6 points ahead, 95% interval -0.4 to 1.6) and costs half of "
        "the training time: use it."
    )


def test_a_clear_lead_is_named_with_its_price():
    best = make_arm("full", 0.9, seconds=120)
    verdict = decide([best, make_arm("features", 0.868, (0.032, 0.011, 0.05), seconds=10)], test_items=1000)

    assert verdict.sentence == (
        "full is best: 3.2 points (95% interval 1.1 to 5.0) ahead of the next, features, at 12 times its training "
        "time."
    )
    assert (verdict.recommended, verdict.next_step, verdict.more_test_items) == ("full", "", None)


def test_a_control_that_is_level_ends_the_matter_even_where_something_else_is_cheaper():
    best = make_arm("full", 0.881, seconds=100)
    cheap = make_arm("features", 0.878, (0.003, -0.01, 0.016), seconds=0.1)
    control = make_arm("TF-IDF", 0.875, (0.006, -0.004, 0.016), seconds=1, approach="shallow")

    verdict = decide([best, cheap, control], test_items=1000)

    assert verdict.sentence == (
        "TF-IDF is as good as full within the error (0.6 points behind, 95% interval -0.4 to 1.6) and costs a "
        "hundredth of the training time: no pre-trained arm beats TF-IDF, so transfer is not worth it here."
    )
    assert verdict.recommended == "TF-IDF"
    assert verdict.next_step.endswith("features is within the error of the most accurate arm, too.")


def test_a_control_or_a_random_start_that_is_best_says_that_transfer_is_not_worth_it():
    for name, approach in (("TF-IDF", "shallow"), ("scratch", "scratch")):
        best = make_arm(name, 0.9, approach=approach)
        verdict = decide([best, make_arm("full", 0.85, (0.05, 0.02, 0.08))], test_items=1000)

        assert verdict.sentence.endswith(f"no pre-trained arm beats {name}, so transfer is not worth it here.")


def test_a_random_start_that_is_level_but_dearer_leaves_the_advice_with_a_remark():
    best = make_arm("features", 0.881, seconds=10)
    verdict = decide([best, make_arm("scratch", 0.875, (0.006, -0.004, 0.016), seconds=100)], test_items=1000)

    assert verdict.sentence.endswith("use it to save time, but no pre-trained arm is more accurate than scratch.")


def test_a_majority_class_that_is_level_is_called_what_it_is():
    best = make_arm("full", 0.6)
    verdict = decide([best, make_arm("majority class", 0.5, (0.1, -0.1, 0.3), approach="majority")], test_items=20)

    assert (
        "no arm does better than always giving the most frequent answer, as far as 20 test items can show"
        in verdict.sentence
    )


def test_only_controls_are_compared_without_a_word_on_transfer():
    records = [make_record(hits(50, 100), Majority()), make_record(hits(80, 100), Shallow())]

    assert compare(records).verdict.startswith("TF-IDF is best: 30.0 points")
    assert "pre-trained" not in compare(records).verdict


def test_one_arm_has_nothing_to_compare_with():
    comparison = compare([make_record(hits(80, 100))])

    assert comparison.verdict.startswith("Only features was measured: accuracy 0.80 (95% interval 0.7")
    assert (comparison.recommended, comparison.tied) == ("features", ("features",))


def test_exact_ties_are_equal_on_this_test_set():
    comparison = compare(
        [make_record(hits(80, 100), Full(), seconds=9), make_record(hits(80, 100), Features(), seconds=3)]
    )

    assert comparison.verdict == (
        "features is as good as full within the error (exactly level, 95% interval 0.0 to 0.0) and costs a third of "
        "the training time: use it."
    )
    assert comparison.next_step == "They are equal on this test set."
    assert comparison.more_test_items is None


def test_a_tie_of_equal_price_leaves_the_choice():
    best = make_arm("full", 0.881, seconds=10)
    verdict = decide([best, make_arm("lora", 0.875, (0.006, -0.004, 0.016), seconds=9)], test_items=1000)

    assert verdict.sentence.endswith("costs about the same training time: use either.")


@pytest.mark.parametrize(
    ("gap", "items", "more"),
    [
        ((0.01, -0.01, 0.03), 400, 1200),
        ((0.006, -0.004, 0.016), 1234, 2200),
        ((0.02, 0.0, 0.04), 300, 1),
        ((0, 0, 0), 9, None),
    ],
)
def test_more_test_items_follow_the_square_root_law(gap, items, more):
    assert more_test_items(Estimate(value=gap[0], low=gap[1], high=gap[2]), items) == more


def test_so_many_more_items_do_decide():
    """Answers repeated as often as the number says: the same accuracies, an interval that excludes zero."""
    full, features = hits(24, 60), [1] * 12 + [0] * 12 + [1] * 8 + [0] * 28  # they differ on 12 and 8 items
    open_ = compare([make_record(full, Full()), make_record(features, Features())])

    times = 1 + open_.more_test_items / 60
    decided = compare(
        [
            make_record(answers * round(1.3 * times), approach)
            for answers, approach in ((full, Full()), (features, Features()))
        ]
    )

    assert open_.more_test_items > 0
    assert decided.verdict.startswith("full is best")


@pytest.mark.parametrize("seed", range(40))
def test_no_winner_is_named_where_an_interval_includes_zero(seed):
    rng = np.random.default_rng(seed)
    items, seeds = int(rng.integers(5, 120)), int(rng.integers(1, 4))
    base = rng.normal(size=items)
    records = [
        make_record(
            (base + rng.normal(size=items) < skill).astype(int).tolist(), approach, seed=s, seconds=rng.uniform(0.1, 9)
        )
        for approach in (Features(), Full(), Lora(), Scratch(), Shallow(), Majority())
        for skill in [rng.normal(0.3, 0.6)]
        for s in range(seeds)
        if s == 0 or rng.random() < 0.8
    ]

    comparison = compare(records)

    gaps = {arm.name: arm.behind_best for arm in comparison.arms[1:]}
    includes_zero = {name for name, gap in gaps.items() if gap.low <= 1e-9}
    assert set(comparison.tied) == includes_zero | {comparison.arms[0].name}
    assert ("is best" in comparison.verdict) == (not includes_zero)
    if includes_zero:
        assert re.match(r".* is as good as .* within the error", comparison.verdict)
    assert comparison.recommended in comparison.tied


def test_negative_transfer_of_a_frozen_model_is_called_that():
    raw = make_arm("raw pixels", 0.660, (0.1, 0.05, 0.15), approach="shallow")
    features = make_arm("features", 0.652, (0.108, 0.06, 0.15), over_control=(-0.008, -0.03, 0.01))

    assert negative_transfer([make_arm("full", 0.76, over_control=(0.1, 0.05, 0.15)), raw, features]) == (
        "Negative transfer: features on mini (0.652) is not better than raw pixels (0.660): this pre-trained model "
        "does not help when frozen; fine-tune all of it, choose another model, or train from scratch.",
    )


def test_a_gain_over_the_control_that_may_be_chance_is_negative_transfer_too():
    lora = make_arm("lora", 0.812, over_control=(0.012, -0.01, 0.03))
    control = make_arm("TF-IDF", 0.8, (0.012, -0.01, 0.03), approach="shallow")

    (sentence,) = negative_transfer([lora, control])

    assert "lora on mini (0.812) is not better than TF-IDF (0.800) beyond the error: its pre-trained" in sentence


def test_negative_transfer_against_a_random_start_and_within_the_error():
    full = make_arm("full", 0.82, over_scratch=(0.01, -0.01, 0.03))

    (sentence,) = negative_transfer([full])

    assert (
        "full on mini (0.820) is not better than the same model from a random start (0.810) beyond the error"
        in sentence
    )
    assert "choose another model" in sentence


def test_a_last_layer_no_better_than_a_control_is_negative_transfer_although_a_lower_layer_helps():
    control = make_arm("raw pixels", 0.75, approach="shallow")
    frozen = make_arm("features", 0.87, over_control=(0.12, 0.08, 0.16))

    useless = dataclasses.replace(frozen, layer="10", last_layer=0.66)
    (sentence,) = negative_transfer([useless, control])

    assert sentence.startswith("Negative transfer in the upper layers: the last layer of mini reads 0.660")
    assert "no better than raw pixels (0.750)" in sentence
    assert "because it reads layer 10." in sentence
    better = dataclasses.replace(frozen, layer="10", last_layer=0.76)
    assert negative_transfer([better, control]) == ()


def test_an_arm_that_was_still_improving_may_only_lack_training():
    control = make_arm("TF-IDF", 0.77, approach="shallow")
    arm = dataclasses.replace(make_arm("full", 0.74, over_control=(-0.03, -0.05, -0.01)), still_improving=True)

    (sentence,) = negative_transfer([control, arm])

    assert sentence.startswith(
        "Negative transfer, or too little training: full on mini (0.740) is not better than TF-IDF"
    )
    assert "use more --epochs" in sentence


def test_arms_that_beat_controls_and_random_start_are_no_negative_transfer():
    good = make_arm("lora", 0.9, over_control=(0.1, 0.05, 0.15), over_scratch=(0.1, 0.05, 0.15))
    control = make_arm("TF-IDF", 0.8, (0.1, 0.05, 0.15), approach="shallow")

    assert negative_transfer([good, control, make_arm("scratch", 0.8, (0.1, 0.05, 0.15))]) == ()


def test_negative_transfer_reaches_the_warnings_first_and_compares_a_model_with_its_own_random_start():
    records = [
        make_record(hits(90, 100), Full(), model="hub/good"),
        make_record(hits(40, 100), Scratch(), model="hub/good"),
        make_record(hits(60, 100), Full(), model="hub/bad"),
        make_record(hits(95, 100), Scratch(), model="hub/bad"),
    ]

    warnings = compare(records).warnings

    assert warnings[0].startswith(
        "Negative transfer: full on bad (0.60) is not better than the same model from a random start"
    )
    assert not any("full on good" in warning for warning in warnings)
