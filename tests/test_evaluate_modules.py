"""The `evaluate` modules answer as the plain functions do, and say so where evaluate itself would keep quiet."""

import evaluate
import numpy as np
import pytest

from hf_transfer_kit import continual, metrics
from hf_transfer_kit.errors import DataError
from hf_transfer_kit.evaluate_modules import (
    Accuracy,
    AverageAccuracy,
    BackwardTransfer,
    CalibrationError,
    Forgetting,
    ForwardTransfer,
    MacroF1,
    McNemar,
)

LABELS = [0, 1, 2, 1, 0, 2]
FIRST = [0, 1, 2, 1, 1, 2]
SECOND = [0, 2, 1, 1, 0, 0]
SURE = [0.9, 0.8, 0.7, 0.95, 0.6, 0.99]
MATRIX = [[0.9, 0.3, None], [0.6, 0.8, 0.4], [0.7, 0.5, 1.0]]  # after each of three tasks; None: not measured


@pytest.fixture(autouse=True)
def no_network_and_a_fresh_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a metric opened a connection"))


@pytest.mark.parametrize("kind", [list, np.array])
def test_scores_are_those_of_the_plain_functions(kind):
    labels, first = kind(LABELS), kind(FIRST)
    assert Accuracy().compute(predictions=first, references=labels) == {"accuracy": 5 / 6}
    assert MacroF1().compute(predictions=first, references=labels) == {"macro_f1": metrics.macro_f1(LABELS, FIRST)}
    error = CalibrationError().compute(predictions=first, confidences=kind(SURE), references=labels, bins=5)
    assert error == {"calibration_error": metrics.expected_calibration_error(SURE, [1, 1, 1, 1, 0, 1], bins=5)}


def test_mcnemar_compares_two_sets_of_predictions():
    answer = McNemar().compute(predictions1=FIRST, predictions2=SECOND, references=LABELS)
    assert answer == {"p_value": pytest.approx(0.625)}  # 3 against 1: 2 * (4 + 1) / 16


def test_batches_add_up():
    metric = Accuracy()
    for start in (0, 2, 4):
        metric.add_batch(predictions=FIRST[start : start + 2], references=LABELS[start : start + 2])
    assert metric.compute() == {"accuracy": 5 / 6}


def test_modules_combine():
    both = evaluate.combine([Accuracy(), MacroF1()])
    assert both.compute(predictions=LABELS, references=LABELS) == {"accuracy": 1.0, "macro_f1": 1.0}


def test_float_predictions_are_refused_not_cut_to_integers():
    with pytest.raises(DataError, match=r"predictions holds 0\.9"):
        Accuracy().compute(predictions=[0.9, 1.2], references=[0, 1])


@pytest.mark.parametrize("module", [Accuracy, MacroF1])
def test_missing_and_empty_inputs_are_errors_in_words(module):
    with pytest.raises(DataError, match=f"{module.__name__} got no predictions"):
        module().compute()
    with pytest.raises(DataError, match="empty"):
        module().compute(predictions=[], references=[])
    with pytest.raises(DataError, match="NaN"):
        module().compute(predictions=[None, 1], references=[0, 1])
    with pytest.raises(ValueError, match=r"predictions \(1\) and references \(2\)"):
        module().compute(predictions=[1], references=[0, 1])


def test_a_refused_input_does_not_stay_for_the_next_compute():
    metric = Accuracy()
    with pytest.raises(DataError):
        metric.compute(predictions=[0.5, 1], references=[0, 1])
    assert metric.compute(predictions=[1], references=[1]) == {"accuracy": 1.0}


def test_no_file_is_left_on_disk(tmp_path):
    metrics_alive = [Accuracy(), Accuracy()]
    for metric in metrics_alive:
        metric.add_batch(predictions=LABELS, references=LABELS)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", [list, lambda rows: np.array(rows, dtype=float)])
def test_scores_of_a_task_sequence_are_those_of_the_plain_functions(kind):
    scores, plain = kind(MATRIX), np.array(MATRIX, dtype=float)
    assert AverageAccuracy().compute(scores=scores) == {"average_accuracy": continual.average_accuracy(plain)}
    assert BackwardTransfer().compute(scores=scores) == {"backward_transfer": continual.backward_transfer(plain)}
    assert Forgetting().compute(scores=scores) == {"forgetting": continual.forgetting(plain)}
    expected = continual.forward_transfer(plain, [0.1, 0.2, 0.25])
    assert ForwardTransfer().compute(scores=scores, baseline=[0.1, 0.2, 0.25]) == {"forward_transfer": expected}
    assert expected == pytest.approx((0.1 + 0.15) / 2)


def test_rows_of_a_task_sequence_are_added_one_after_another_and_combine():
    both = evaluate.combine([AverageAccuracy(), Forgetting()])
    for row in MATRIX:
        both.add(scores=row)
    assert both.compute() == {"average_accuracy": pytest.approx(2.2 / 3), "forgetting": pytest.approx(0.25)}


def test_a_task_sequence_that_cannot_be_scored_is_an_error_in_words():
    with pytest.raises(DataError, match="Forgetting got no scores"):
        Forgetting().compute()
    with pytest.raises(DataError, match=r"\(tasks, tasks\)"):
        AverageAccuracy().compute(scores=[[0.5, 0.5]])
    with pytest.raises(DataError, match="missing"):
        ForwardTransfer().compute(scores=[[0.5, None], [0.5, 0.5]], baseline=0.5)
