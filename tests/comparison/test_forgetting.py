import itertools
import math

import numpy as np
import pytest
from synthetic_records import hits, make_old, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.plan import EwcSettings, Features, Full, Majority, Protection, ReplaySettings, Scratch
from hf_transfer_kit.records import OldText

EWC, REPLAY = Protection(ewc=EwcSettings()), Protection(replay=ReplaySettings())


def arm(comparison, name):
    return next(arm for arm in comparison.arms if arm.name == name)


def resamples(rows, seeds, items):
    """Means of `rows` (seeds, items) over every way to draw seeds and items with replacement."""
    for drawn_seeds in itertools.product(range(seeds), repeat=seeds):
        for drawn in itertools.product(range(items), repeat=items):
            yield np.mean([[rows[seed][item] for item in drawn] for seed in drawn_seeds])


def interval_of(values):
    low, high = np.quantile(list(values), [0.025, 0.975], method="inverted_cdf")
    return pytest.approx((low, high), abs=1e-9)


def bounds(estimate):
    return estimate.low, estimate.high


# --- answers --------------------------------------------------------------------------------------------------------


def test_forgetting_is_accuracy_before_minus_after_counted_by_hand():
    old = make_old(hits(18, 20), hits(10, 20), hits(19, 20), hits(15, 20))

    result = compare([make_record(hits(30, 40), Full(), old=old)]).arms[0].old

    assert result.before.value == pytest.approx(18 / 20)
    assert result.after.value == pytest.approx(10 / 20)
    assert result.forgetting.value == pytest.approx(8 / 20)
    assert (result.before_among_old, result.after_among_old) == pytest.approx((19 / 20, 15 / 20))
    assert result.forgetting_among_old.value == pytest.approx(4 / 20)
    assert result.forgetting_by_head.value == pytest.approx(4 / 20)
    assert result.average.value == pytest.approx((30 / 40 + 10 / 20) / 2)


def test_accuracies_are_means_over_the_seeds():
    records = [
        make_record(hits(30, 40), Full(), seed=seed, old=make_old(hits(18, 20), hits(right, 20)))
        for seed, right in enumerate((10, 12, 17))
    ]

    result = compare(records).arms[0].old

    assert result.after_by_seed == (0.5, 0.6, 0.85)
    assert result.after.value == pytest.approx(0.65)
    assert result.forgetting.value == pytest.approx(0.25)


def test_intervals_are_those_of_every_possible_resample_of_items_and_seeds():
    before = ([1, 1, 1, 1], [0, 1, 1, 1])
    after = ([1, 0, 0, 1], [0, 1, 1, 1])
    records = [make_record([1, 1, 0], Full(), seed=seed, old=make_old(before[seed], after[seed])) for seed in range(2)]

    result = compare(records).arms[0].old

    lost = np.subtract(before, after)
    assert bounds(result.forgetting) == interval_of(resamples(lost, 2, 4))
    assert bounds(result.after) == interval_of(resamples(after, 2, 4))


def test_what_is_lost_among_the_old_labels_too_is_no_fault_of_the_head_and_the_other_way_round():
    before, after = [1] * 20, hits(12, 20)
    lost = compare([make_record(hits(15, 20), Full(), old=make_old(before, after, before, after))]).arms[0].old
    hidden = compare([make_record(hits(15, 20), Full(), old=make_old(before, after, before, before))]).arms[0].old

    assert lost.forgetting_among_old == lost.forgetting == hidden.forgetting_by_head
    assert bounds(lost.forgetting_by_head) == bounds(hidden.forgetting_among_old) == (0.0, 0.0)
    assert lost.forgetting.low > 0


def test_the_average_draws_the_same_seeds_for_new_and_old_items_and_the_items_apart():
    """The seed that learns the new task forgets the old one: the mean of both hardly depends on the seed."""
    new, old = ([1, 1, 1], [0, 1, 0]), ([0, 0, 0, 0], [1, 1, 1, 1])
    records = [make_record(new[seed], Full(), seed=seed, old=make_old([1] * 4, old[seed])) for seed in range(2)]

    result = compare(records).arms[0].old

    everything = [
        np.mean([[new[s][i] for i in new_items] for s in seeds]) / 2
        + np.mean([[old[s][i] for i in old_items] for s in seeds]) / 2
        for seeds in itertools.product(range(2), repeat=2)
        for new_items in itertools.product(range(3), repeat=3)
        for old_items in itertools.product(range(4), repeat=4)
    ]
    assert bounds(result.average) == interval_of(everything)
    assert bounds(result.after) == (0.0, 1.0)


def test_a_draw_of_new_items_says_nothing_about_the_draw_of_old_ones():
    """New and old answers are right at the same places: were both drawn alike, the mean would vary as one of them."""
    rows = hits(50, 100)

    result = compare([make_record(rows, Full(), old=make_old([1] * 100, rows))]).arms[0]

    one = result.scores.accuracy.half_width
    assert result.old.average.half_width == pytest.approx(one / math.sqrt(2), rel=0.15)


def test_an_arm_that_keeps_everything_has_the_exact_binomial_bound():
    result = compare([make_record(hits(30, 40), Full(), old=make_old([1] * 20, [1] * 20))]).arms[0].old

    assert result.after.high == 1.0
    assert result.after.low**20 == pytest.approx(0.025)
    assert (result.forgetting.low, result.forgetting.high) == (0.0, 0.0)


def test_distances_to_the_best_mean_are_paired():
    """full+replay answers 20 of 100 old items more, and the same new ones: only those 20 count."""
    records = [
        make_record(hits(80, 100), Full(), old=make_old(hits(90, 100), hits(60, 100))),
        make_record(hits(80, 100), Full(), protection=REPLAY, old=make_old(hits(90, 100), hits(80, 100))),
    ]

    comparison = compare(records)

    behind = arm(comparison, "full").old.behind_best_average
    assert behind.value == pytest.approx(0.1)
    assert behind.half_width == pytest.approx(1.96 * math.sqrt(0.2 * 0.8 / 100) / 2, rel=0.15)
    assert arm(comparison, "full+replay").old.behind_best_average is None


def test_protections_make_arms_of_their_own_and_their_settings_show_where_they_differ():
    def names(*protections):
        records = [make_record(hits(15, 20), Full(), protection=each, old=make_old([1], [1])) for each in protections]
        return sorted(arm.name for arm in compare(records).arms)

    assert names(Protection(), EWC, REPLAY) == ["full", "full+ewc", "full+replay"]
    assert names(REPLAY, Protection(replay=ReplaySettings(ratio=0.3))) == [
        "full+replay (replay.ratio=0.1)",
        "full+replay (replay.ratio=0.3)",
    ]


def test_controls_and_a_random_start_know_nothing_of_the_old_task():
    records = [
        make_record(hits(35, 40), Full(), old=make_old([1] * 20, hits(15, 20))),
        make_record(hits(20, 40), Majority(), old_path="older.csv"),
        make_record(hits(20, 40), Scratch(), old_path="older.csv"),
    ]

    comparison = compare(records)

    assert [arm.name for arm in comparison.arms if arm.old] == ["full"]
    assert comparison.old_data.path == "older.csv"
    assert (comparison.old_data.label_names, comparison.old_data.items) == (("no", "yes"), 20)


def test_an_arm_of_which_one_run_was_not_measured_on_the_old_task_has_no_old_accuracy():
    records = [
        make_record(hits(35, 40), Full(), seed=0, old=make_old([1] * 20, hits(15, 20))),
        make_record(hits(35, 40), Full(), seed=1, old_path="older.csv"),
    ]

    comparison = compare(records)

    assert comparison.arms[0].old is None
    assert "Not measured on the old data, and not in the choice: full." in comparison.warnings


def test_records_of_different_old_data_are_refused():
    one = make_record(hits(15, 20), Full(), old=make_old([1, 0], [1, 0]))

    other = make_record(hits(15, 20), Features(), old=make_old([1, 0], [1, 0], test_hash="e" * 64))
    with pytest.raises(FormatError, match=r"'full on .*' and 'features on .*' have different old data"):
        compare([one, other])
    with pytest.raises(FormatError, match=r"'full on .*' starts from a model that knows old data, 'features on"):
        compare([make_record(hits(15, 20), Features()), one])


def test_a_comparison_with_old_data_survives_its_file(tmp_path):
    records = [
        make_record(hits(15, 20), Full(), old=make_old([1, 1], [1, 0])),
        make_record(hits(15, 20), Full(), protection=EWC, old=make_old([1, 1], [1, 1])),
    ]
    comparison = compare(records)

    comparison.save(tmp_path / "comparison.json")

    assert Comparison.load(tmp_path / "comparison.json") == comparison
    assert comparison.old_data is not None


def test_the_order_of_the_records_does_not_matter():
    rng = np.random.default_rng(0)
    records = [
        make_record(
            rng.integers(0, 2, 30).tolist(), Full(), protection=each, seed=seed,
            old=make_old([1] * 25, rng.integers(0, 2, 25).tolist()),
        )
        for each in (Protection(), EWC, REPLAY)
        for seed in range(2)
    ]  # fmt: skip

    assert compare(records[::-1]) == compare(records)


# --- texts without labels -------------------------------------------------------------------------------------------


def text(before, after, measure="perplexity"):
    return OldText(measure=measure, digest="9" * 64, before=tuple(before), after=tuple(after))


def test_perplexity_is_the_exponential_of_the_mean_over_texts_then_the_mean_over_seeds():
    before = [1.0, 2.0, 3.0]
    records = [
        make_record(hits(15, 20), Full(), seed=seed, old_text=text(before, [b + rise for b in before]))
        for seed, rise in enumerate((0.5, 1.0))
    ]

    result = compare(records).arms[0].old_text

    assert result.before == pytest.approx(math.e**2)
    assert result.after_by_seed == pytest.approx((math.e**2.5, math.e**3))
    assert result.after == pytest.approx((math.e**2.5 + math.e**3) / 2)
    assert result.worse.value == pytest.approx(result.after - result.before)


def test_the_interval_of_the_rise_is_that_of_every_possible_resample_of_texts():
    before, after = np.array([1.0, 2.0, 2.5]), np.array([1.5, 3.0, 2.5])

    result = compare([make_record(hits(15, 20), Full(), old_text=text(before, after))]).arms[0].old_text

    every = [
        np.exp(after[list(d)].mean()) - np.exp(before[list(d)].mean()) for d in itertools.product(range(3), repeat=3)
    ]
    assert bounds(result.worse) == interval_of(every)


def test_a_probe_that_reads_less_is_worse_by_the_share_it_lost():
    records = [make_record(hits(15, 20), Full(), old_text=text([1.0] * 40, hits(30, 40), "probe"))]

    comparison = compare(records)

    result = comparison.arms[0].old_text
    assert (result.before, result.after) == (1.0, 0.75)
    assert result.worse.value == pytest.approx(0.25)
    assert result.worse.half_width == pytest.approx(1.96 * math.sqrt(0.25 * 0.75 / 40), rel=0.15)
    assert comparison.old_data.hashes == {"texts": "9" * 64}
    assert comparison.old_data.label_names == ()
