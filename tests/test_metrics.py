"""Scores against scikit-learn, closed forms and hand arithmetic."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss

from hf_transfer_kit import metrics
from hf_transfer_kit.errors import DataError, PlanError

CLASSES = st.integers(0, 4)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CLASSES, CLASSES), min_size=1, max_size=30))
def test_accuracy_and_macro_f1_equal_scikit_learn(rows):
    labels, predictions = zip(*rows, strict=True)
    assert metrics.accuracy(labels, predictions) == pytest.approx(accuracy_score(labels, predictions))
    theirs = f1_score(labels, predictions, average="macro", zero_division=0)
    assert metrics.macro_f1(labels, predictions, n_classes=5) == pytest.approx(theirs)


def test_a_class_that_nobody_has_or_predicts_does_not_count():
    assert metrics.macro_f1([0, 7], [0, 7]) == metrics.macro_f1([0, 7], [0, 7], n_classes=100) == 1.0


def test_macro_f1_of_the_labels_leaves_out_classes_that_nobody_asked_for():
    labels, predictions = [0, 0, 1, 1], [0, 2, 1, 1]

    # class 0: 1 hit, 2 labels + 1 prediction; class 1: 2 hits, 2 + 2; class 2: no hit, 1 prediction
    assert metrics.macro_f1(labels, predictions, of_labels=True) == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.macro_f1(labels, predictions) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_calibration_error_by_hand():
    confidence = [0.95, 0.95, 0.95, 0.55]  # two bins of ten: (0.9, 1] with accuracy 1/3, (0.5, 0.6] with 1
    error = metrics.expected_calibration_error(confidence, [True, False, False, True], bins=10)
    assert error == pytest.approx(3 / 4 * (0.95 - 1 / 3) + 1 / 4 * (1 - 0.55))


def test_a_confidence_on_an_edge_belongs_to_the_lower_bin():
    # 0.5 shares its bin with 0.3, where the two gaps cancel; with 0.9 they would not
    assert metrics.expected_calibration_error([0.5, 0.3], [0, 1], bins=2) == pytest.approx(abs(0.4 - 0.5))
    assert metrics.expected_calibration_error([0.0, 1.0], [0, 1], bins=15) == 0.0


def test_one_bin_is_the_gap_of_the_means():
    confidence, correct = np.linspace(0, 1, 21), np.arange(21) % 2
    error = metrics.expected_calibration_error(confidence, correct, bins=1)
    assert error == pytest.approx(abs(confidence.mean() - correct.mean()))


def test_log_softmax_survives_huge_logits_and_sums_to_one():
    huge = metrics.log_softmax([[1e4, 0.0], [-1e4, -1e4]])
    assert huge[0].tolist() == [0.0, -1e4]
    assert np.exp(huge).sum(axis=1).tolist() == [1.0, 1.0]


def test_likelihood_equals_scikit_learn_and_is_infinite_for_the_impossible():
    logits, labels = np.random.default_rng(0).normal(size=(50, 4)), np.arange(50) % 4
    log_probs = metrics.log_softmax(logits)
    assert metrics.negative_log_likelihood(log_probs, labels) == pytest.approx(log_loss(labels, np.exp(log_probs)))
    assert metrics.negative_log_likelihood([[0.0, -np.inf]], [1]) == np.inf


def sampled(temperature: float, rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from softmax(logits / temperature)."""
    chance = np.random.default_rng(3)
    logits = 3 * chance.normal(size=(rows, 5))
    labels = np.argmax(logits / temperature + chance.gumbel(size=logits.shape), axis=1)  # the Gumbel trick
    return logits, labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    assert metrics.fit_temperature(*sampled(temperature)) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_has_a_closed_form_for_one_repeated_row():
    # p = 3/4 for the first class: softmax([2, 0] / T) = 3/4 means 2 / T = log 3
    assert metrics.fit_temperature([[2.0, 0.0]] * 4, [0, 0, 0, 1]) == pytest.approx(2 / math.log(3), rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3))
def test_the_fitted_temperature_is_never_worse_than_none_and_keeps_the_answers(seed, size):
    chance = np.random.default_rng(seed)
    logits, labels = 10**size * chance.normal(size=(12, 3)), chance.integers(0, 3, 12)
    temperature = metrics.fit_temperature(logits, labels)
    scaled = metrics.apply_temperature(logits, temperature)
    before = metrics.negative_log_likelihood(metrics.log_softmax(logits), labels)
    assert metrics.negative_log_likelihood(scaled, labels) <= before
    assert 0.05 <= temperature <= 20
    assert (scaled.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_where_no_temperature_helps_it_stays_one():
    assert metrics.fit_temperature([[2.0, 2.0]] * 4, [0, 0, 0, 1]) == 1.0


def test_where_every_row_is_right_the_temperature_ends_at_its_lower_limit():
    assert metrics.fit_temperature(np.eye(3) * 0.5, [0, 1, 2]) == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 6), (1, 7), (3, 3), (10, 2)])
def test_mcnemar_equals_the_sum_of_the_binomial_tails(only_a, only_b):
    a = [1] * only_a + [0] * only_b + [1, 1, 0]  # the items on which both agree must not count
    b = [0] * only_a + [1] * only_b + [1, 1, 0]
    n, k = only_a + only_b, min(only_a, only_b)
    expected = min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)
    assert metrics.mcnemar_exact(a, b) == metrics.mcnemar_exact(b, a) == pytest.approx(expected)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.floats(0.001, 0.999))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    rejected = set()
    for step, row in enumerate(sorted(range(len(p_values)), key=lambda row: p_values[row])):
        if (len(p_values) - step) * p_values[row] > level:
            break
        rejected.add(row)
    assert set(np.flatnonzero(metrics.holm(p_values) <= level)) == rejected


def test_holm_by_hand_keeps_the_order_and_stays_below_one():
    assert metrics.holm([0.6, 0.01, 0.5]).tolist() == pytest.approx([1.0, 0.03, 1.0])


def every_resample(correct: np.ndarray) -> np.ndarray:
    """The accuracies of all possible resamples of items and seeds of one small arm, each equally likely."""
    seeds, items = correct.shape
    return np.array(
        [
            correct[np.ix_(some_seeds, some_items)].mean()
            for some_seeds in itertools.product(range(seeds), repeat=seeds)
            for some_items in itertools.product(range(items), repeat=items)
        ]
    )


@pytest.mark.parametrize("correct", [[[1, 1, 0, 1]], [[1, 1, 0, 1], [0, 1, 0, 0]]])
def test_the_bootstrap_has_the_mean_and_spread_of_all_resamples(correct):
    exact = every_resample(np.array(correct))
    draws = metrics.bootstrap_accuracies([correct], n_resamples=40_000)[0]
    assert draws.mean() == pytest.approx(exact.mean(), abs=0.006)
    assert draws.std() == pytest.approx(exact.std(), rel=0.03)


def test_the_same_arm_twice_never_differs_from_itself():
    correct = np.random.default_rng(0).integers(0, 2, (3, 40))
    draws = metrics.bootstrap_accuracies([correct, correct], n_resamples=500)
    assert draws.std() > 0
    assert np.array_equal(draws[0], draws[1])


def test_arms_with_equal_numbers_of_seeds_share_seeds_and_all_share_items():
    good_seed, items = np.array([[1] * 8, [0] * 8]), np.array([[1, 1, 1, 1, 0, 0, 0, 0]])
    draws = metrics.bootstrap_accuracies([good_seed, 1 - good_seed, items, 1 - items], n_resamples=300)
    assert np.allclose(draws[0] + draws[1], 1)  # two seeds each: the same seeds were drawn for both
    assert np.allclose(draws[2] + draws[3], 1)  # one seed each: the same items were drawn for both
    assert set(np.unique(draws[0])) == {0.0, 0.5, 1.0}


def test_the_bootstrap_depends_on_its_seed_and_not_on_the_size_of_its_steps(monkeypatch):
    correct = [np.random.default_rng(0).integers(0, 2, (2, 30)), np.ones((1, 30))]
    first = metrics.bootstrap_accuracies(correct, n_resamples=50, seed=1)
    assert not np.array_equal(first, metrics.bootstrap_accuracies(correct, n_resamples=50, seed=2))
    monkeypatch.setattr(metrics, "_DRAWS", 7)
    assert np.allclose(first, metrics.bootstrap_accuracies(correct, n_resamples=50, seed=1))


def test_the_interval_cuts_equal_tails():
    assert metrics.interval(np.arange(1001), level=0.9) == pytest.approx((50, 950))
    with pytest.raises(PlanError, match=r"level=95.*0\.95"):
        metrics.interval([1, 2], level=95)


def test_an_unreadable_answer_is_wrong_and_of_no_class():
    labels, predictions = [0, 0, 1, 1], [0, -1, 1, -1]

    assert metrics.hits(labels, predictions).tolist() == [True, False, True, False]
    for of_labels in (False, True):  # of both classes: 2 * 1 / (2 labels + 1 prediction)
        assert metrics.macro_f1(labels, predictions, 2, of_labels=of_labels) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.accuracy([], []), "labels is empty"),
        (lambda: metrics.accuracy([0, 1], [0]), "labels 2, predictions 1"),
        (lambda: metrics.accuracy([0, 1], [0.9, 1.2]), r"predictions holds 0\.9"),
        (lambda: metrics.accuracy([0, float("nan")], [0, 1]), "labels holds NaN"),
        (lambda: metrics.accuracy(["cat"], [0]), "labels must be numbers"),
        (lambda: metrics.accuracy([[0]], [0]), r"shape \(1, 1\)"),
        (lambda: metrics.macro_f1([0, -1], [0, 1]), "labels holds -1"),
        (lambda: metrics.accuracy([0, 1], [0, -2]), "predictions holds -2"),
        (lambda: metrics.macro_f1([0, 1], [0, 5], n_classes=3), "class 5, but classes run from 0 to 2"),
        (lambda: metrics.expected_calibration_error([1.7], [1]), r"1\.7 is not in \[0, 1\]"),
        (lambda: metrics.expected_calibration_error([0.7], [0.5]), r"correct holds 0\.5"),
        (lambda: metrics.negative_log_likelihood([[2.0, 1.0]], [0]), "not 1; pass log_softmax"),
        (lambda: metrics.negative_log_likelihood([[0.0, -np.inf]], [2]), "class 2"),
        (lambda: metrics.log_softmax([[np.inf, 0.0]]), "NaN or infinite"),
        (lambda: metrics.log_softmax([[1.0], [1.0, 2.0]]), "logits must be numbers"),
        (lambda: metrics.fit_temperature([[1.0, 0.0]], [0, 1]), "lengths differ"),
        (lambda: metrics.mcnemar_exact([1, 0], [1]), "lengths differ"),
        (lambda: metrics.holm([0.5, 1.5]), r"not all in \[0, 1\]"),
        (lambda: metrics.bootstrap_accuracies([]), "0 arms"),
        (lambda: metrics.bootstrap_accuracies([[[1, 0]], [[1]]]), r"correct\[1\] has 1 items"),
        (lambda: metrics.bootstrap_accuracies([[1, 0]]), "2 dimensions"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_words(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_bad_settings_are_refused():
    with pytest.raises(PlanError, match="bins=0"):
        metrics.expected_calibration_error([0.5], [1], bins=0)
    with pytest.raises(PlanError, match="temperature=0"):
        metrics.apply_temperature([[1.0, 0.0]], 0)


def test_importing_the_functions_imports_no_heavy_library():
    code = "import sys, hf_transfer_kit.metrics, hf_transfer_kit.duplicates; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"evaluate", "datasets", "torch", "transformers", "sklearn", "scipy"} & set(done.stdout.split())
