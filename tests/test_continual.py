import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hf_transfer_kit.continual import (
    TaskSequence,
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
)
from hf_transfer_kit.errors import DataError

#         task 1  task 2  task 3
BY_HAND = [
    [0.9, 0.3, 0.2],  # after task 1
    [0.6, 0.8, 0.4],
    [0.7, 0.5, 1.0],
]
matrices = st.integers(2, 6).flatmap(lambda n: arrays(float, (n, n), elements=st.floats(-5, 5, width=32)))


def test_the_four_numbers_by_hand():
    assert average_accuracy(BY_HAND) == pytest.approx((0.7 + 0.5 + 1.0) / 3)
    assert backward_transfer(BY_HAND) == pytest.approx(((0.7 - 0.9) + (0.5 - 0.8)) / 2)
    assert forward_transfer(BY_HAND, [0.1, 0.2, 0.25]) == pytest.approx(((0.3 - 0.2) + (0.4 - 0.25)) / 2)
    assert forgetting(BY_HAND) == pytest.approx(((0.9 - 0.7) + (0.8 - 0.5)) / 2)


def test_a_task_that_was_best_between_is_forgotten_from_there_though_transfer_is_positive():
    scores = [[0.5, 0.0, 0.0], [0.9, 0.5, 0.0], [0.6, 0.5, 0.5]]
    assert backward_transfer(scores) == pytest.approx((0.1 + 0.0) / 2)
    assert forgetting(scores) == pytest.approx((0.3 + 0.0) / 2)


@given(matrices)
def test_the_numbers_equal_loops_over_the_definitions(matrix):
    tasks = len(matrix)
    baseline = matrix[0] / 2
    earlier = range(tasks - 1)
    assert average_accuracy(matrix) == pytest.approx(sum(matrix[-1, j] for j in range(tasks)) / tasks)
    assert backward_transfer(matrix) == pytest.approx(
        sum(matrix[tasks - 1, j] - matrix[j, j] for j in earlier) / (tasks - 1)
    )
    assert forward_transfer(matrix, baseline) == pytest.approx(
        sum(matrix[j - 1, j] - baseline[j] for j in range(1, tasks)) / (tasks - 1)
    )
    assert forgetting(matrix) == pytest.approx(
        sum(max(matrix[i, j] for i in range(tasks - 1)) - matrix[-1, j] for j in earlier) / (tasks - 1)
    )


@given(matrices)
def test_forgetting_is_never_less_than_lost_transfer(matrix):
    assert forgetting(matrix) >= -backward_transfer(matrix) - 1e-9


def test_only_the_scores_a_number_is_made_of_need_be_measured():
    nan = np.nan
    assert backward_transfer([[0.9, nan], [0.7, nan]]) == pytest.approx(-0.2)
    assert forgetting([[0.9, nan, nan], [nan, 0.8, nan], [0.7, 0.5, nan]]) == pytest.approx(0.25)
    assert forward_transfer([[nan, 0.3], [nan, nan]], [nan, 0.2]) == pytest.approx(0.1)
    assert average_accuracy([[nan, nan], [0.5, 0.7]]) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("measure", "scores"),
    [
        (average_accuracy, [[1.0, 1.0], [1.0, np.nan]]),
        (backward_transfer, [[np.nan, 1.0], [1.0, 1.0]]),
        (backward_transfer, [[1.0, 1.0], [np.nan, 1.0]]),
        (forgetting, [[np.nan, 1.0], [1.0, 1.0]]),
        (forgetting, [[1.0, 1.0], [np.nan, 1.0]]),
        (lambda scores: forward_transfer(scores, 0.5), [[1.0, np.nan], [1.0, 1.0]]),
        (lambda scores: forward_transfer(scores, [0.5, np.nan]), [[1.0, 1.0], [1.0, 1.0]]),
    ],
)
def test_a_missing_score_is_an_error_and_not_nan(measure, scores):
    with pytest.raises(DataError, match="missing"):
        measure(scores)


@pytest.mark.parametrize("measure", [average_accuracy, backward_transfer, forgetting])
@pytest.mark.parametrize("scores", [[], [0.5], [[0.5, 0.5]], [[[0.5]]]])
def test_what_is_not_square_is_refused(measure, scores):
    with pytest.raises(DataError, match=r"\(tasks, tasks\)|at least"):
        measure(scores)


def test_one_task_has_an_average_and_nothing_to_compare():
    assert average_accuracy([[0.5]]) == 0.5
    for measure in (backward_transfer, forgetting, lambda scores: forward_transfer(scores, 0.0)):
        with pytest.raises(DataError, match="at least 2"):
            measure([[0.5]])


def test_a_baseline_of_another_length_and_words_are_refused():
    with pytest.raises(DataError, match=r"baseline has shape \(3,\)"):
        forward_transfer([[1, 1], [1, 1]], [0, 0, 0])
    with pytest.raises(DataError, match="must be numbers"):
        average_accuracy([["high"]])


def test_a_sequence_from_nothing_gives_the_matrix_of_the_literature():
    sequence = TaskSequence()
    names = ["a", "b", "c"]
    for i, task in enumerate(names):
        before = {names[j]: BY_HAND[i - 1][j] for j in range(i + 1)} if i else {"a": 0.1}
        sequence.begin(task, before)
        sequence.end(task, {names[j]: BY_HAND[i][j] for j in range(i + 1)})
    summary = sequence.summary(baseline=[0.1, 0.2, 0.25])

    assert sequence.names == names
    np.testing.assert_array_equal(sequence.matrix, [[0.9, 0.3, np.nan], [0.6, 0.8, 0.4], BY_HAND[2]])
    assert summary.average_accuracy == average_accuracy(BY_HAND)
    assert summary.backward_transfer == backward_transfer(BY_HAND)
    assert summary.forward_transfer == forward_transfer(BY_HAND, [0.1, 0.2, 0.25])
    assert summary.forgetting == forgetting(BY_HAND)


def test_tasks_known_at_the_start_are_compared_with_the_start():
    sequence = TaskSequence()
    sequence.begin("new", {"x": 0.9, "y": 0.7, "new": 0.4})
    sequence.end("new", {"x": 0.8, "y": 0.4, "new": 0.6})
    summary = sequence.summary(baseline=0.3)

    assert summary.average_accuracy == pytest.approx(0.6)
    assert summary.backward_transfer == pytest.approx((-0.1 - 0.3) / 2)
    assert summary.forgetting == pytest.approx((0.1 + 0.3) / 2)
    assert summary.forward_transfer == pytest.approx(0.4 - 0.3)


def test_a_set_that_joins_later_is_compared_with_its_first_score():
    sequence = TaskSequence()
    sequence.begin("b", {"a": 0.9, "b": 0.1})
    sequence.end("b", {"a": 0.8, "b": 0.8})
    sequence.begin("c", {"a": 0.8, "b": 0.8, "late": 0.7, "c": 0.2})
    sequence.end("c", {"a": 0.8, "b": 0.8, "late": 0.5, "c": 0.9})

    assert set(sequence.names[:2]) == {"a", "late"} and sequence.names[2:] == ["b", "c"]
    assert sequence.summary().backward_transfer == pytest.approx((-0.1 - 0.2 + 0.0) / 3)


def test_a_training_without_an_eval_set_still_says_what_became_of_the_old():
    sequence = TaskSequence()
    for score in (0.7, 0.5):
        sequence.begin("unscored", {"a": 0.9})
        sequence.end("unscored", {"a": score})
    summary = sequence.summary(baseline=0.5)

    assert (summary.average_accuracy, summary.forward_transfer) == (0.5, None)
    assert summary.forgetting == pytest.approx(0.4) and summary.backward_transfer == pytest.approx(-0.4)


def test_looking_at_the_present_leaves_the_sequence_as_it_was():
    sequence = TaskSequence()
    sequence.begin("b", {"a": 0.9, "b": 0.1})
    assert sequence.at("b", {"a": 0.7, "b": 0.5}).summary().forgetting == pytest.approx(0.2)
    assert len(sequence) == 0
    with pytest.raises(DataError, match="no training has ended"):
        sequence.summary()


def test_a_sequence_can_be_saved_as_json():
    sequence = TaskSequence()
    sequence.begin("b", {"a": 0.9})
    sequence.end("b", {"a": 0.5})
    saved = json.loads(json.dumps(sequence.to_dict(), allow_nan=False))

    assert saved["tasks"] == ["a", "b"] and saved["matrix"] == [[0.9, None], [0.5, None]]
    assert saved["summary"]["forgetting"] == pytest.approx(0.4) and saved["summary"]["forward_transfer"] is None
