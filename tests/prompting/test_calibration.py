import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hf_transfer_kit.prompting.calibration import (
    CONTENT_FREE,
    FLOOR,
    batch_offsets,
    calibrated,
    contextual_offsets,
)

OFFSETS_OF = pytest.mark.parametrize("offsets_of", [contextual_offsets, batch_offsets])
SCORES = arrays(np.float64, (5, 3), elements=st.floats(-1e4, -1e-3))


def probabilities(log_scores):
    """Softmax written out, independent of scipy."""
    weights = np.exp(log_scores - log_scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def test_offsets_are_the_log_of_the_mean_probability_by_hand():
    scores = np.log([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.1, 0.9]])

    assert np.allclose(contextual_offsets(scores[:2]), np.log([0.7, 0.3]))
    assert np.allclose(batch_offsets(scores), np.log([0.4, 0.6]))


def test_calibrated_divides_by_the_prior_by_hand():
    answer = np.exp(calibrated(np.log([[0.6, 0.4]]), np.log([0.75, 0.25])))

    assert np.allclose(answer, [[0.8 / 2.4, 1.6 / 2.4]])  # 0.6 / 0.75 and 0.4 / 0.25


def test_a_constant_bias_towards_one_label_is_repaired_exactly():
    fair = np.log([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    bias = np.array([0.0, 30.0, 0.0])  # the model always says the second label
    biased, content_free = fair + bias, np.zeros((3, 3)) + bias
    assert biased.argmax(axis=1).tolist() == [1, 1, 1]

    repaired = calibrated(biased, contextual_offsets(content_free))

    assert np.allclose(repaired, fair)


def test_batch_calibration_finds_a_bias_in_unlabelled_inputs():
    fair = np.log([[0.8, 0.2], [0.2, 0.8]])  # as many of one as of the other
    biased = fair + np.array([3.0, 0.0])
    assert biased.argmax(axis=1).tolist() == [0, 0]

    answer = calibrated(biased, batch_offsets(biased))

    assert answer.argmax(axis=1).tolist() == [0, 1]


@OFFSETS_OF
@given(scores=SCORES, constants=arrays(np.float64, (5, 1), elements=st.floats(-100, 0)))
def test_a_constant_added_to_a_row_changes_nothing(offsets_of, scores, constants):
    shifted = scores + constants

    assert np.allclose(offsets_of(shifted), offsets_of(scores), atol=1e-6)
    assert np.allclose(calibrated(shifted, offsets_of(scores)), calibrated(scores, offsets_of(scores)), atol=1e-6)


@given(scores=SCORES, same=st.floats(-100, 100))
def test_equal_offsets_change_no_probability(scores, same):
    answer = np.exp(calibrated(scores, np.full(3, same)))

    assert np.allclose(answer, probabilities(scores))


@OFFSETS_OF
@given(scores=SCORES)
def test_the_answers_are_log_probabilities_and_finite(offsets_of, scores):
    offsets = offsets_of(scores)
    answer = calibrated(scores, offsets)

    assert np.isfinite(offsets).all() and (offsets >= FLOOR).all()
    assert np.isfinite(answer).all()
    assert np.allclose(np.exp(answer).sum(axis=1), 1)


@given(scores=SCORES)
def test_an_answer_does_not_depend_on_those_beside_it(scores):
    offsets = np.array([-1.0, -2.0, -0.5])
    together = calibrated(scores, offsets)
    alone = np.concatenate([calibrated(scores[i : i + 1], offsets) for i in range(len(scores))])

    assert np.array_equal(together, alone)


@OFFSETS_OF
def test_the_order_of_the_set_changes_nothing(offsets_of):
    scores = np.log([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7]])

    assert np.allclose(offsets_of(scores), offsets_of(scores[::-1]))


@OFFSETS_OF
def test_a_label_of_no_probability_gets_the_floor(offsets_of):
    impossible = np.array([[0.0, -np.inf], [-1.0, -1e4]])

    assert offsets_of(impossible)[1] == FLOOR
    assert np.isfinite(calibrated(np.array([[-5.0, -1e4]]), offsets_of(impossible))).all()


def test_scores_that_exp_cannot_hold_keep_their_order_and_distance():
    scores = np.array([[-800.0, -900.0, -5.0]])  # exp(-800) is 0: only in log space do the first two differ

    answer = calibrated(scores, contextual_offsets(scores))

    assert np.allclose(answer, np.log(1 / 3))


@OFFSETS_OF
def test_unreadable_rows_count_for_nothing_and_stay_as_they_are(offsets_of):
    readable = np.log([[0.9, 0.1], [0.7, 0.3]])
    scores = np.insert(readable, 1, 0.0, axis=0)

    assert np.allclose(offsets_of(scores), offsets_of(readable))
    assert calibrated(scores, offsets_of(scores))[1].tolist() == [0.0, 0.0]


@OFFSETS_OF
def test_without_a_readable_row_nothing_is_taken_out(offsets_of):
    scores = np.log([[0.9, 0.1]])

    assert np.allclose(calibrated(scores, offsets_of(np.zeros((2, 2)))), scores)
    assert np.allclose(calibrated(scores, offsets_of(np.zeros((0, 2)))), scores)


def test_content_free_inputs_are_those_of_the_paper():
    assert CONTENT_FREE == ("N/A", "[MASK]", "")
