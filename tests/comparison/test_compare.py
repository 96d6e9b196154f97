import dataclasses
import itertools
import math

import numpy as np
import pytest
from synthetic_records import hits, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.result import Comparison, Failure
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.findings import CheckReport, Finding
from hf_transfer_kit.plan import Features, Full, Lora, Majority, Remote, Scratch, Shallow, ZeroShot


def leaks(rows, items):
    return CheckReport(findings=(), leaked_test_rows=tuple(rows), rows={"test": items}, classes=2)


def arm(comparison, name):
    return next(arm for arm in comparison.arms if arm.name == name)


def test_accuracy_is_the_mean_over_seeds_inside_its_interval():
    records = [make_record(hits(right, 50), seed=seed) for seed, right in enumerate((40, 42, 44))]

    result = compare(records).arms[0]

    assert result.accuracies == (0.8, 0.84, 0.88)
    assert result.accuracy == pytest.approx(0.84)
    assert result.scores.accuracy.low < 0.84 < result.scores.accuracy.high


def test_the_interval_of_one_seed_is_about_the_binomial_one():
    estimate = compare([make_record(hits(320, 400))]).arms[0].scores.accuracy

    assert estimate.half_width == pytest.approx(1.96 * math.sqrt(0.8 * 0.2 / 400), rel=0.1)


def test_a_perfect_arm_keeps_the_exact_binomial_bound():
    estimate = compare([make_record(hits(20, 20))]).arms[0].scores.accuracy

    assert estimate.high == 1.0
    assert estimate.low**20 == pytest.approx(0.025)  # what accuracy gives 20 of 20 with probability 2.5%


def test_arms_are_sorted_by_accuracy_whatever_the_order_of_the_records():
    records = [
        make_record(hits(40, 60), Shallow()),
        *(make_record(hits(50 + seed, 60), Full(), seed=seed) for seed in range(3)),
        *(make_record(hits(45 + seed, 60), Features(), seed=seed) for seed in range(3)),
    ]

    comparison = compare(records)

    assert [arm.name for arm in comparison.arms] == ["full", "features", "TF-IDF"]
    assert compare(records[::-1]) == comparison


def test_differences_are_those_of_the_accuracies():
    comparison = compare(
        [
            make_record(hits(90, 100), Full()),
            make_record(hits(80, 100), Features()),
            make_record(hits(70, 100), Scratch()),
            make_record(hits(60, 100), Shallow()),
            make_record(hits(50, 100), Majority()),
        ]
    )

    features = arm(comparison, "features")
    assert features.behind_best.value == pytest.approx(0.1)
    assert features.gain_over_control.value == pytest.approx(0.2)  # over TF-IDF, the better of the controls
    assert features.gain_over_scratch.value == pytest.approx(0.1)
    assert arm(comparison, "full").behind_best is None
    assert arm(comparison, "TF-IDF").gain_over_control is None


def test_differences_are_paired_so_that_items_all_arms_get_right_do_not_widen_them():
    """full and features differ on 10 of 100 items, always one way: the interval is that of a share of 0.1."""
    comparison = compare([make_record(hits(60, 100), Full()), make_record(hits(50, 100), Features())])

    gap = arm(comparison, "features").behind_best

    assert gap.low > 0
    assert gap.half_width == pytest.approx(1.96 * math.sqrt(0.1 * 0.9 / 100), rel=0.15)


def brute_force_mcnemar(only_a, only_b):
    """Of all ways to give the items on which two arms differ to either, the share at least as uneven."""
    differing = only_a + only_b
    uneven = abs(only_a - only_b)
    outcomes = [abs(2 * sum(coins) - differing) for coins in itertools.product((0, 1), repeat=differing)]
    return sum(outcome >= uneven for outcome in outcomes) / len(outcomes)


def test_p_values_are_mcnemar_then_twice_the_median_over_seeds_then_holm():
    best = [make_record(hits(20, 24), Full(), seed=seed) for seed in range(3)]
    features = [make_record(hits(20 - lost, 24), Features(), seed=seed) for seed, lost in enumerate((6, 8, 10))]
    lora = [make_record(hits(20 - lost, 24), Lora(), seed=seed) for seed, lost in enumerate((9, 9, 11))]

    comparison = compare([*best, *features, *lora])

    raw_features = 2 * brute_force_mcnemar(8, 0)  # the median of the seeds
    raw_lora = 2 * brute_force_mcnemar(9, 0)
    assert raw_lora < raw_features
    assert arm(comparison, "lora").p_value == pytest.approx(2 * raw_lora)  # Holm: the smaller of two, times two
    assert arm(comparison, "features").p_value == pytest.approx(max(raw_features, 2 * raw_lora))
    assert arm(comparison, "full").p_value is None


def test_p_values_pair_runs_of_the_same_seed():
    """The seeds know different halves of the items; across seeds the arms differ on nearly all of them, both ways."""
    first, second = hits(12, 24), hits(12, 24)[::-1]
    full = [make_record(first, Full(), seed=0), make_record(second, Full(), seed=1)]
    lost = [make_record(hits(4, 24), seed=0), make_record(hits(4, 24)[::-1], seed=1)]

    assert arm(compare([*full, *lost]), "features").p_value == pytest.approx(2 * brute_force_mcnemar(8, 0))


def test_one_seed_gives_the_plain_mcnemar_p_value_and_arms_without_a_common_seed_are_still_tested():
    same = compare([make_record(hits(20, 24), Full()), make_record(hits(12, 24), Features())])
    other = compare([make_record(hits(20, 24), Full()), make_record(hits(12, 24), Features(), seed=7)])

    assert arm(same, "features").p_value == pytest.approx(brute_force_mcnemar(8, 0))
    assert arm(other, "features").p_value == pytest.approx(brute_force_mcnemar(8, 0))


def test_scores_without_leaked_rows_are_counted_by_hand():
    checks = leaks(range(10), items=40)  # all ten are answered rightly

    result = compare([make_record(hits(25, 40))], checks).arms[0]

    assert result.accuracy == pytest.approx(25 / 40)
    assert result.scores_without_leaked.accuracy.value == pytest.approx(15 / 30)
    assert result.scores.calibration_error == pytest.approx(abs(0.9 - 25 / 40))
    assert result.scores.calibrated_error == pytest.approx(abs(0.8 - 25 / 40))
    assert result.scores_without_leaked.calibration_error == pytest.approx(abs(0.9 - 15 / 30))


def test_leaked_rows_that_carry_a_lead_change_the_verdict_without_them():
    checks = leaks(range(30), items=300)
    cheater = make_record(hits(30, 300), Full(), seconds=10)
    honest = make_record([0] * 300, Features())

    comparison = compare([cheater, honest], checks)

    assert comparison.verdict.startswith("full is best")
    assert "exactly level" in comparison.verdict_without_leaked
    assert "30 of 300 test rows are copies" in " ".join(comparison.warnings)


def test_without_leaks_and_with_nothing_but_leaks_there_is_no_second_score():
    for checks in (None, leaks((), items=20), leaks(range(20), items=20)):
        comparison = compare([make_record(hits(15, 20))], checks)

        assert comparison.arms[0].scores_without_leaked is None
        assert comparison.verdict_without_leaked is None


def test_checks_of_other_data_are_refused():
    with pytest.raises(FormatError, match="test row 20, but the records have 20 test items"):
        compare([make_record(hits(15, 20))], leaks([3, 20], items=30))


def test_the_table_holds_the_largest_size_and_the_curves_all_of_them():
    records = [
        make_record(hits(right, 100), approach, train_size=size)
        for approach, scores in ((Features(), (60, 70, 80)), (Full(), (40, 65, 90)))
        for size, right in zip((16, 64, 256), scores, strict=True)
    ]

    comparison = compare(records)

    assert {arm.train_size for arm in comparison.arms} == {256}
    curves = {curve.name: curve for curve in comparison.curves}
    assert [point.train_size for point in curves["full"].points] == [16, 64, 256]
    assert [point.accuracy.value for point in curves["full"].points] == pytest.approx([0.4, 0.65, 0.9])
    assert curves["full"].points[-1].accuracy == arm(comparison, "full").scores.accuracy
    assert curves["full"].points[0].labels_used == 16 + 20


def test_one_size_has_no_curves_and_an_arm_that_lacks_the_largest_size_is_named():
    assert compare([make_record(hits(15, 20))]).curves == ()

    comparison = compare(
        [
            make_record(hits(60, 100)),
            make_record(hits(50, 100), train_size=50),
            make_record(hits(40, 100), Full(), train_size=50),
        ]
    )

    assert [arm.name for arm in comparison.arms] == ["features"]
    assert "full has no finished run with 100 training examples" in " ".join(comparison.warnings)


def test_names_say_what_sets_arms_apart_and_no_more():
    def names(*records):
        return sorted(arm.name for arm in compare(records).arms)

    answers = hits(15, 20)
    assert names(make_record(answers), make_record(answers, Majority())) == ["features", "majority class"]
    assert names(make_record(answers, model="a/x"), make_record(answers, model="a/y")) == [
        "features · x",
        "features · y",
    ]
    assert names(make_record(answers, model="a/x"), make_record(answers, model="b/x")) == [
        "features · a/x",
        "features · b/x",
    ]
    assert names(make_record(answers, Lora(rank=4)), make_record(answers, Lora(rank=8))) == [
        "lora (rank=4)",
        "lora (rank=8)",
    ]
    remote = Remote(url="http://127.0.0.1:1/v1")
    assert names(make_record(answers), make_record(answers, ZeroShot(), remote=remote)) == [
        "features · mini",
        "zero_shot · mini (remote)",
    ]
    assert names(make_record(answers, Shallow(), task="image-classification")) == ["raw pixels"]


def test_records_of_other_data_are_refused_with_both_names():
    record = make_record(hits(15, 20))
    both = (
        "'features on hub/mini, 100 training examples, seed 0' and 'full on hub/mini, 100 training examples, seed 0'"
    )

    with pytest.raises(FormatError, match=f"{both} saw different data: the test parts have different hashes"):
        compare([record, make_record(hits(15, 20), Full(), test_hash="e" * 64)])
    with pytest.raises(FormatError, match=rf"{both} have different label names \(maybe, yes\)"):
        compare([record, make_record(hits(15, 20), Full(), label_names=("no", "maybe"))])
    with pytest.raises(FormatError, match="of different tasks"):
        compare([record, make_record(hits(15, 20), Full(), task="image-classification")])


def test_the_same_run_twice_and_no_run_at_all_are_refused():
    with pytest.raises(FormatError, match="two records are of the same run"):
        compare([make_record(hits(15, 20)), make_record(hits(16, 20))])
    with pytest.raises(FormatError, match="no finished run"):
        compare([])


def test_costs_are_means_over_the_seeds():
    records = [make_record(hits(15, 20), seed=seed, seconds=s) for seed, s in enumerate((10, 12))]

    cost = compare(records).arms[0].cost

    assert cost.train_seconds == pytest.approx(11)
    assert cost.total_parameters == 20_000_000


def test_what_has_no_randomness_is_not_missing_its_other_seeds():
    full = [make_record(hits(15, 20), Full(), seed=seed) for seed in (0, 1)]
    features = make_record(hits(15, 20), Features())
    everything = dataclasses.replace(features.plan, data=dataclasses.replace(features.plan.data, train_size=None))
    features = dataclasses.replace(features, plan=everything)

    assert "seeds" not in " ".join(compare([*full, features]).warnings)
    assert "One seed only" not in " ".join(compare([features]).warnings)


def test_cautions_name_missing_seeds_small_tests_missing_controls_and_mixed_machines():
    full = [make_record(hits(15, 20), Full(), seed=seed, machine={"processor": f"CPU {seed}"}) for seed in (0, 1, 2)]
    features = [make_record(hits(15, 20), Features(), seed=1)]

    text = " ".join(compare([*full, *features]).warnings)

    assert "features rests on 1 of 3 seeds; seeds 0, 2 did not finish." in text
    assert "only 20 items" in text
    assert "No control was measured" in text
    assert "different machines" in text
    assert "One seed only" not in text
    assert "One seed only" in " ".join(compare(features).warnings)


def test_failures_are_kept_and_do_not_spoil_the_rest():
    failures = [Failure(run="lora", message="not enough memory")]

    assert compare([make_record(hits(15, 20))], failures=failures).failures == tuple(failures)


def full_comparison():
    rng = np.random.default_rng(0)
    records = [
        make_record(rng.integers(0, 2, 60).tolist(), approach, seed=seed, train_size=size)
        for approach in (Features(), Full(), Scratch(), Shallow())
        for seed in range(2)
        for size in (50, 100)
    ]
    finding = Finding(
        kind="leaked_exact", severity="warning", count=3, message="3 rows", examples=("a",), rows=(1, 2, 3)
    )
    checks = CheckReport(findings=(finding,), leaked_test_rows=(1, 2, 3), rows={"test": 60}, classes=2)
    return compare(records, checks, failures=[Failure(run="lora", message="memory")], command="transfer-kit compare")


def test_a_comparison_survives_its_file(tmp_path):
    comparison = full_comparison()

    comparison.save(tmp_path / "comparison.json")

    assert Comparison.load(tmp_path / "comparison.json") == comparison


def test_files_of_another_version_or_kind_are_refused():
    mapping = full_comparison().to_mapping()

    with pytest.raises(FormatError, match="version 2"):
        Comparison.from_mapping(mapping | {"version": 2})
    with pytest.raises(FormatError, match="format"):
        Comparison.from_mapping(mapping | {"format": "hf_transfer_kit.record"})
    with pytest.raises(FormatError, match="unknown setting 'winner'"):
        Comparison.from_mapping(mapping | {"winner": "full"})


def test_the_same_records_give_the_same_comparison():
    assert full_comparison() == full_comparison()


def test_runs_that_ended_at_their_best_step_are_said_to_be_still_improving():
    ended = [{"best_step": 30, "steps": 30}, {"best_step": 20, "steps": 30}]
    full = [dataclasses.replace(make_record(hits(15, 20), Full(), seed=i), details=ended[0]) for i in (0, 1)]
    lora = [dataclasses.replace(make_record(hits(14, 20), Lora(), seed=i), details=ended[i]) for i in (0, 1)]

    comparison = compare([*full, *lora])

    assert {arm.name: arm.still_improving for arm in comparison.arms} == {"full": True, "lora": False}
    assert "Still improving when the epochs ran out: full;" in " ".join(comparison.warnings)
