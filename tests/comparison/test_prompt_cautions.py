import dataclasses

import numpy as np
import pytest
from sklearn.metrics import f1_score
from synthetic_records import hits, make_old, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.plan import FewShot, Full, Majority, Scratch, Shallow, ZeroShot

# --- warnings -------------------------------------------------------------------------------------------------------


def test_a_weak_prompt_is_not_called_negative_transfer():
    comparison = compare(
        [
            make_record(hits(250, 400), ZeroShot(), labels=0),
            make_record(hits(300, 400), FewShot(), labels=16),
            make_record(hits(300, 400), Shallow()),
            make_record(hits(390, 400), Full()),
        ]
    )

    assert comparison.warnings[0] == (
        "No better than TF-IDF with 120 labels (0.750): few_shot (0.750, 16 labels) and zero_shot (0.625, no labels). "
        "Such a prompt is not enough here: use the labels to train, or ask another model."
    )
    assert not any("Negative transfer" in warning for warning in comparison.warnings)


def test_a_prompt_that_beats_the_control_is_not_warned_of_and_one_that_may_is_within_the_error():
    good = compare([make_record(hits(390, 400), ZeroShot(), labels=0), make_record(hits(300, 400), Shallow())])
    rng = np.random.default_rng(0)
    answers = [rng.permutation(hits(right, 400)).tolist() for right in (304, 300)]
    open_ = compare([make_record(answers[0], ZeroShot(), labels=0), make_record(answers[1], Majority())])

    assert not any("No better than" in warning for warning in good.warnings)
    assert open_.warnings[0].startswith(
        "No better than majority class (0.750) beyond the error: zero_shot (0.760, no labels)."
    )


def test_a_prompt_is_compared_with_the_random_start_of_its_model():
    comparison = compare([make_record(hits(10, 100), ZeroShot(), labels=0), make_record(hits(90, 100), Scratch())])

    assert "No better than the same model from a random start: zero_shot (0.10, no labels)" in comparison.warnings[0]


# --- answers nobody can read ----------------------------------------------------------------------------------------


def test_unreadable_answers_are_wrong_and_counted_over_the_seeds():
    records = [make_record(hits(15, 20), FewShot(), seed=seed, unreadable=n) for seed, n in enumerate((2, 7))]

    comparison = compare(records)

    result = comparison.arms[0]
    assert result.unreadable == 9
    assert result.accuracies == (0.75, 0.65)  # 2 of the last 5 were wrong anyhow; of 7, 2 were right
    assert "few_shot: 9 of 40 answers were none of the labels; they count as wrong." in comparison.warnings
    assert "1 of 20 answer was none" in " ".join(compare([make_record(hits(9, 20), unreadable=1)]).warnings)


def test_macro_f1_has_no_class_for_unreadable_answers():
    record = make_record(hits(15, 21), FewShot(), unreadable=4, label_names=("a", "b", "c"))

    expected = f1_score(record.test.labels, record.test.predictions, labels=[0, 1, 2], average="macro")
    assert compare([record]).arms[0].scores.macro_f1 == pytest.approx(expected)


def test_calibration_counts_unreadable_answers_as_wrong():
    scores = compare([make_record(hits(20, 20), FewShot(), unreadable=10)]).arms[0].scores

    assert scores.calibration_error == pytest.approx(abs(0.9 - 10 / 20))


def test_unreadable_old_answers_are_wrong():
    old = make_old(hits(20, 20), hits(20, 20))
    unread = dataclasses.replace(old, after=(*old.after[:-5], -1, -1, -1, -1, -1))

    assert compare([make_record(hits(15, 20), Full(), old=unread)]).arms[0].old.after.value == pytest.approx(0.75)


# --- what prompted runs found out -----------------------------------------------------------------------------------

DETAILS = {
    "prompt": "built-in",
    "prompt_text": "instruction: ...",
    "demonstrations": 16,
    "calibration": {"used": "batch", "accuracy": {"none": 0.6, "contextual": 0.64, "batch": 0.7}},
    "orders": {"validation_accuracy": [0.5, 0.7], "worst": 0.5, "best": 0.7},
}


def test_prompt_results_are_means_over_the_seeds():
    other = DETAILS | {
        "orders": {"worst": 0.6, "best": 0.7},
        "calibration": {"used": "batch", "accuracy": {"none": 0.8}},
    }
    comparison = compare(
        [make_record(hits(15, 20), FewShot(), seed=seed, details=each) for seed, each in enumerate((DETAILS, other))]
    )

    found = comparison.arms[0].prompt
    assert (found.name, found.text, found.demonstrations, found.calibration) == (
        "built-in", "instruction: ...", 16, "batch",
    )  # fmt: skip
    assert found.uncalibrated == pytest.approx(0.7)
    assert (found.contextual, found.batch) == (0.64, 0.7)
    assert found.worst_order == pytest.approx(0.55)
    assert (
        "few_shot: the order of the examples alone moves accuracy on validation by 15.0 points, from 0.55 to 0.70."
        in (comparison.warnings)
    )


@pytest.mark.parametrize(
    "details", [{"prompt": "p"}, {"prompt": "p", "orders": None}, {"prompt": "p", "calibration": {"accuracy": {}}}]
)
def test_what_a_run_did_not_find_out_is_unknown(details):
    found = compare([make_record(hits(15, 20), FewShot(), details=details)]).arms[0].prompt

    assert found.name == "p"
    assert {found.demonstrations, found.uncalibrated, found.batch, found.worst_order} == {None}


def test_arms_without_a_prompt_have_no_prompt_result():
    assert compare([make_record(hits(15, 20), Full())]).arms[0].prompt is None
