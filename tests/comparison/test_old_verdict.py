import re

import numpy as np
import pytest
from synthetic_records import hits, make_cost, make_old, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.comparison.old_cautions import old_cautions
from hf_transfer_kit.comparison.old_result import OldDataSummary, OldResult, OldTextResult
from hf_transfer_kit.comparison.old_text_verdict import decide_with_texts
from hf_transfer_kit.comparison.old_verdict import Gaps, decide_with_old
from hf_transfer_kit.comparison.result import ArmResult, Scores
from hf_transfer_kit.findings import CheckReport, Finding
from hf_transfer_kit.plan import EwcSettings, Full, Lora, Protection, ReplaySettings, Shallow

EWC, REPLAY = Protection(ewc=EwcSettings()), Protection(replay=ReplaySettings())
LEVEL_GAP, AHEAD, BEHIND = (0.0, -0.01, 0.01), (0.3, 0.2, 0.4), (-0.3, -0.4, -0.2)


def estimate(numbers):
    return None if numbers is None else Estimate(value=numbers[0], low=numbers[1], high=numbers[2])


def around(value):
    return Estimate(value=value, low=value - 0.02, high=value + 0.02)


def make_arm(name, new, old, *, before=0.91, forgotten=None, by_head=(0, 0, 0), behind=None, seconds=1.0):
    """An arm with accuracies `new` and `old`; intervals are (value, low, high)."""
    approach, *protections = name.split("+")
    lost = before - old
    known = None if old is None else OldResult(
        before=around(before), after=around(old), after_by_seed=(old,), before_among_old=before,
        after_among_old=old + by_head[0], forgetting=estimate(forgotten or (lost, lost - 0.01, lost + 0.01)),
        forgetting_among_old=around(lost - by_head[0]), forgetting_by_head=estimate(by_head),
        average=around((new + old) / 2), behind_best_average=estimate(behind),
    )  # fmt: skip
    return ArmResult(
        name=name, approach=approach, protections=tuple(protections), model="hub/mini", train_size=100,
        labels_used=120, seeds=(0, 1, 2), accuracies=(new,) * 3, cost=make_cost(seconds), old=known,
        scores=Scores(accuracy=around(new), macro_f1=new, calibration_error=0.1, calibrated_error=0.02),
    )  # fmt: skip


def gaps(new=LEVEL_GAP, old=AHEAD):
    return Gaps(new=lambda first, second: estimate(new), old=lambda first, second: estimate(old))


# --- which arm ------------------------------------------------------------------------------------------------------


def test_the_best_mean_is_advised_although_another_arm_is_better_on_the_new_task():
    full = make_arm("full", 0.95, 0.57, behind=(0.14, 0.1, 0.18), seconds=10)
    replay = make_arm("full+replay", 0.94, 0.89, seconds=20)

    verdict = decide_with_old([full, replay], gaps())

    assert verdict.sentence == (
        "full+replay is best on old and new together (new 0.940, old 0.890): their mean is 14.0 points (95% interval "
        "10.0 to 18.0) ahead of the next, full (new 0.950, old 0.570), at 2.0 times its training time."
    )
    assert (verdict.recommended, verdict.tied) == ("full+replay", ("full+replay",))


def test_of_arms_with_a_level_mean_the_one_that_trains_fastest_is_the_advice():
    best = make_arm("full+replay", 0.94, 0.89, seconds=40)
    lora = make_arm("lora+replay", 0.92, 0.89, behind=(0.01, -0.01, 0.03), seconds=20)
    third = make_arm("gradual+replay", 0.91, 0.89, behind=(0.015, -0.01, 0.04), seconds=30)

    verdict = decide_with_old([best, lora, third], gaps())

    assert verdict.sentence == (
        "lora+replay (new 0.920, old 0.890) is as good as full+replay (new 0.940, old 0.890) on old and new together "
        "within the error (the mean is 1.0 points behind, 95% interval -1.0 to 3.0) and costs half of the training "
        "time: use it."
    )
    assert verdict.next_step == "gradual+replay is within the error of the best mean, too."
    assert verdict.tied == ("full+replay", "lora+replay", "gradual+replay")


def test_arms_that_never_knew_the_old_task_are_not_in_the_choice():
    records = [
        make_record(hits(99, 100), Shallow(), seconds=0.1, old_path="older.csv"),
        make_record(hits(90, 100), Full(), old=make_old(hits(90, 100), hits(30, 100))),
        make_record(hits(90, 100), Lora(), old=make_old(hits(90, 100), hits(80, 100))),
    ]

    comparison = compare(records)

    assert comparison.recommended == "lora"
    assert comparison.arms[0].name == "TF-IDF"  # the tables of quality and cost stay as they are


def test_one_arm_that_knows_the_old_task_is_no_winner():
    comparison = compare([make_record(hits(90, 100), Full(), old=make_old(hits(90, 100), hits(90, 100)))])

    assert comparison.verdict == "Only full knows the old task: accuracy on new 0.90, old 0.90."
    assert comparison.forgetting == "full does not forget any of the old task beyond the error."


def test_without_old_data_nothing_is_said_of_it():
    comparison = compare([make_record(hits(90, 100), Full()), make_record(hits(50, 100), Lora())])

    assert (comparison.forgetting, comparison.old_data) == ("", None)
    assert " old " not in " ".join([comparison.verdict, *comparison.warnings])


def test_leaked_rows_are_left_out_of_the_mean_too():
    """full+replay owes its lead in the mean to 30 leaked rows of the new task."""
    leaked = CheckReport(findings=(), leaked_test_rows=tuple(range(30)), rows={"test": 100}, classes=2)
    records = [
        make_record(hits(80, 100), Full(), protection=REPLAY, old=make_old(hits(90, 100), hits(80, 100))),
        make_record([0] * 30 + hits(50, 70), Full(), old=make_old(hits(90, 100), hits(80, 100))),
    ]

    comparison = compare(records, leaked)

    assert comparison.verdict.startswith("full+replay is best on old and new together")
    assert "exactly level" in comparison.verdict_without_leaked


# --- what is forgotten ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forgotten", "new", "kept", "on_new"),
    [
        ((0.02, 0.01, 0.04), LEVEL_GAP, "keeps all but 2.0 (1.0 to 4.0)",
         "level with it on the new one (-1.0 to 1.0)"),
        ((0.01, -0.01, 0.03), AHEAD, "keeps all of it within the error (-1.0 to 3.0 forgotten)",
         "30.0 (20.0 to 40.0) better on the new one"),
        ((-0.02, -0.03, -0.01), BEHIND, "gains 2.0 there (1.0 to 3.0)", "30.0 (20.0 to 40.0) worse on the new one"),
    ],
)  # fmt: skip
def test_the_arm_that_forgets_most_stands_beside_the_advised_one(forgotten, new, kept, on_new):
    full = make_arm("full", 0.95, 0.57, behind=(0.14, 0.1, 0.18))
    replay = make_arm("full+replay", 0.94, 0.89, forgotten=forgotten)

    verdict = decide_with_old([full, replay], gaps(new))

    start = "full forgets 34.0 points of the old task (0.910 → 0.570, 95% interval 33.0 to 35.0); full+replay "
    assert verdict.forgetting == f"{start}{kept} and is {on_new}."


def test_no_difference_in_forgetting_is_claimed_where_the_interval_includes_zero():
    full = make_arm("full", 0.94, 0.85, seconds=9)
    lora = make_arm("lora", 0.93, 0.86, behind=(0.0, -0.01, 0.01), seconds=1)

    verdict = decide_with_old([full, lora], gaps(old=(0.01, -0.01, 0.03)))

    assert verdict.forgetting.endswith("95% interval 5.0 to 7.0), and lora keeps no more of it beyond the error.")


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_claimed_of_the_old_task_where_an_interval_includes_zero(seed):
    rng = np.random.default_rng(seed)
    items = int(rng.integers(8, 80))
    before = (rng.random(items) < 0.9).astype(int).tolist()
    records = [
        make_record(
            (rng.random(50) < rng.uniform(0.5, 0.95)).astype(int).tolist(), Full(), protection=each, seed=s,
            old=make_old(before, (rng.random(items) < skill).astype(int).tolist()), seconds=rng.uniform(1, 9),
        )
        for each in (Protection(), EWC, REPLAY)
        for skill in [rng.uniform(0.3, 0.95)]
        for s in range(2)
    ]  # fmt: skip

    comparison = compare(records)

    arms = {arm.name: arm.old for arm in comparison.arms}
    level = {
        name for name, old in arms.items() if old.behind_best_average is None or old.behind_best_average.low <= 1e-9
    }
    assert set(comparison.tied) == level
    assert comparison.recommended in level
    assert ("is best on old and new" in comparison.verdict) == (len(level) == 1)
    forgets = re.match(r"(\S+) forgets", comparison.forgetting)
    assert bool(forgets) == any(old.forgetting.low > 1e-9 for old in arms.values() if old.forgetting.value == max(
        each.forgetting.value for each in arms.values()))  # fmt: skip
    if forgets:
        assert arms[forgets.group(1)].forgetting.low > 0


# --- cautions -------------------------------------------------------------------------------------------------------


def summary(items=400, labels=("a", "b", "c", "d")):
    return OldDataSummary(path="older.csv", label_names=labels, items=items, hashes={})


def test_answers_that_only_lose_against_new_labels_are_called_that_and_weight_guards_no_remedy():
    """Class-incremental: of 0.60 forgotten, 0.55 comes back among the old labels."""
    ewc = make_arm("full+ewc", 0.95, 0.31, by_head=(0.55, 0.5, 0.6))
    lost = make_arm("lora", 0.95, 0.31, by_head=(0.1, 0.05, 0.15))

    (sentence,) = old_cautions([ewc, lost], summary())

    assert "Right among the old labels, and among all: full+ewc 0.860 and 0.310." in sentence
    assert "What guards weights alone (full+ewc) never shows the head an old label beside a new one" in sentence
    assert "lora" not in sentence


def test_knowledge_that_is_really_lost_or_may_be_chance_gets_no_such_caution():
    lost = make_arm("full+ewc", 0.95, 0.31, by_head=(0.0, -0.01, 0.01))
    chance = make_arm("full", 0.95, 0.89, forgotten=(0.02, -0.01, 0.05), by_head=(0.02, -0.01, 0.05))

    unsure = make_arm("lora", 0.95, 0.80, by_head=(0.08, -0.01, 0.17))

    assert old_cautions([lost, chance, unsure], summary()) == ()


def test_the_caution_is_derived_from_answers():
    items = 200
    old = make_old([1] * items, hits(40, items), [1] * items, hits(190, items))

    comparison = compare([make_record(hits(180, 200), Full(), protection=EWC, old=old)])

    assert any("full+ewc 0.950 and 0.200" in warning for warning in comparison.warnings)


def test_a_starting_model_that_knows_nothing_has_nothing_to_forget():
    arm = make_arm("full", 0.9, 0.25, before=0.26)

    (sentence,) = old_cautions([arm], summary())

    assert "knows no more of the old task than chance (0.250 with 4 labels)" in sentence


def test_a_small_old_test_part_and_arms_without_old_answers_are_named():
    arms = [make_arm("full", 0.9, 0.9), make_arm("lora", 0.9, 0.9)]
    arms[1] = ArmResult(**{name: getattr(arms[1], name) for name in arms[1].__slots__} | {"old": None})

    text = " ".join(old_cautions(arms, summary(items=60)))

    assert "The old test part has only 60 items: accuracies on it are known to about 2 points." in text
    assert "Not measured on the old data, and not in the choice: lora." in text


# --- texts without labels -------------------------------------------------------------------------------------------


def text_arm(name, new, worse, *, behind=None, seconds=1.0, measure="perplexity"):
    arm = make_arm(name, new, 0.5, seconds=seconds)
    text = OldTextResult(
        measure=measure, before=1.0, after=1 + worse[0] * (1 if measure == "perplexity" else -1), after_by_seed=(1.0,),
        worse=estimate(worse),
    )  # fmt: skip
    changes = {"old": None, "old_text": text, "behind_best": estimate(behind)}
    return ArmResult(**{field: getattr(arm, field) for field in arm.__slots__} | changes)


def test_of_arms_level_on_the_new_task_the_one_that_keeps_the_texts_is_the_advice():
    fast = text_arm("full", 0.95, (9.0, 8.0, 10.0), seconds=1)
    slow = text_arm("full+ewc", 0.94, (0.5, 0.4, 0.6), behind=(0.01, -0.01, 0.03), seconds=5)
    behind = text_arm("lora", 0.80, (0.0, -0.1, 0.1), behind=(0.15, 0.1, 0.2), seconds=1)

    verdict = decide_with_texts([fast, slow, behind], 1000)

    assert verdict.recommended == "full+ewc"
    assert verdict.sentence == (
        "full and full+ewc are level on the new task within the error; full+ewc keeps most of the old texts: use it."
    )
    assert verdict.forgetting == (
        "full raises the perplexity of the old texts (1.00 → 10.00, 95% interval of the change 8.00 to 10.00); "
        "full+ewc raises the perplexity of the old texts (1.00 → 1.50, 95% interval of the change 0.40 to 0.60)."
    )


def test_of_arms_that_keep_as_much_of_the_texts_the_fastest_is_the_advice():
    slow = text_arm("full+ewc", 0.95, (0.1, 0.05, 0.15), seconds=5, measure="probe")
    fast = text_arm("lora", 0.94, (0.12, 0.07, 0.17), behind=(0.01, -0.01, 0.03), seconds=1, measure="probe")

    verdict = decide_with_texts([slow, fast], 1000)

    assert verdict.recommended == "lora"
    assert "trains fastest of those that keep most" in verdict.sentence
    assert verdict.forgetting.startswith("lora lowers what a probe reads from the old texts (1.000 → 0.880, 95%")


def test_rows_that_the_old_training_part_holds_are_called_leaked_too():
    finding = Finding(kind="leaked_old", severity="warning", count=2, message="2 rows", rows=(0, 1))
    checks = CheckReport(findings=(finding,), leaked_test_rows=(0, 1), rows={"test": 100}, classes=2)

    comparison = compare([make_record(hits(90, 100), Full(), old=make_old([1] * 100, [1] * 100))], checks)

    text = " ".join(comparison.warnings)
    assert "2 of 100 test rows are copies of training or validation rows, new or old;" in text
