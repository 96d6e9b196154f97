"""The functions of metrics.py and continual.py as `evaluate` modules.

    metrics.py      Accuracy, MacroF1, CalibrationError, McNemar
    continual.py    AverageAccuracy, BackwardTransfer, ForwardTransfer, Forgetting

They live in the package, so there is no `evaluate.load` and no network. Importing this file imports `evaluate` and
`datasets`, which takes seconds; metrics.py and continual.py need neither.

Two traps of evaluate 0.4.6 are closed here. An integer feature turns a prediction of 0.9 into 0 without a word: all
features are float64, and metrics.py refuses what is not a whole number. On disk, two metrics wait for each other's
lock file: ours keep their inputs in memory.

Example:
    >>> Accuracy().compute(predictions=[0, 1, 1], references=[0, 1, 0])
    {'accuracy': 0.6666666666666666}
    >>> both = evaluate.combine([Accuracy(), MacroF1()])
    >>> both.compute(predictions=[0, 1], references=[0, 1])
    {'accuracy': 1.0, 'macro_f1': 1.0}
    >>> forgetting = Forgetting()
    >>> for row in ([0.75, None], [0.25, 0.75]):  # after each task, its scores on all tasks
    ...     forgetting.add(scores=row)
    >>> forgetting.compute()
    {'forgetting': 0.5}
"""

from collections.abc import Callable

import datasets
import evaluate

from hf_transfer_kit import continual, metrics
from hf_transfer_kit.errors import DataError


class _InMemory(evaluate.EvaluationModule):
    """Keeps the inputs in memory; computing on none is an error in our words."""

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    def _finalize(self) -> None:
        if self.writer is None:
            inputs = next(iter(self._feature_names()))
            raise DataError(f"{type(self).__name__} got no {inputs}; call add_batch, or pass them to compute.")
        super()._finalize()


class Accuracy(_InMemory, evaluate.Metric):
    """`compute(predictions=, references=)` of class numbers: {"accuracy": share of equal ones}."""

    def _info(self) -> evaluate.MetricInfo:
        return _metric_info(metrics.accuracy, "predictions")

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, float]:
        return {"accuracy": metrics.accuracy(references, predictions)}


class MacroF1(_InMemory, evaluate.Metric):
    """`compute(predictions=, references=)` of class numbers: {"macro_f1": mean F1 of the classes seen in either}."""

    def _info(self) -> evaluate.MetricInfo:
        return _metric_info(metrics.macro_f1, "predictions")

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, float]:
        return {"macro_f1": metrics.macro_f1(references, predictions)}


class CalibrationError(_InMemory, evaluate.Metric):
    """`compute(predictions=, confidences=, references=, bins=15)`: {"calibration_error": ECE in [0, 1]}.

    `confidences` are the probabilities of the predicted classes.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _metric_info(metrics.expected_calibration_error, "predictions", "confidences")

    def _compute(
        self, predictions: list[float], confidences: list[float], references: list[float], bins: int = 15
    ) -> dict[str, float]:
        correct = metrics.hits(references, predictions)
        return {"calibration_error": metrics.expected_calibration_error(confidences, correct, bins)}


class McNemar(_InMemory, evaluate.Comparison):
    """`compute(predictions1=, predictions2=, references=)`: {"p_value": of the exact two-sided McNemar test}."""

    def _info(self) -> evaluate.ComparisonInfo:
        columns = _columns("predictions1", "predictions2")
        return evaluate.ComparisonInfo(description=metrics.mcnemar_exact.__doc__, citation="", features=columns)

    def _compute(
        self, predictions1: list[float], predictions2: list[float], references: list[float]
    ) -> dict[str, float]:
        first, second = metrics.hits(references, predictions1), metrics.hits(references, predictions2)
        return {"p_value": metrics.mcnemar_exact(first, second)}


class AverageAccuracy(_InMemory, evaluate.Metric):
    """`compute(scores=R)`: {"average_accuracy": mean score over all tasks after the last}.

    `scores` is R of continual.py, a row after each task learned; None or NaN: not measured.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _matrix_info(continual.average_accuracy)

    def _compute(self, scores: list[list[float]]) -> dict[str, float]:
        return {"average_accuracy": continual.average_accuracy(scores)}


class BackwardTransfer(_InMemory, evaluate.Metric):
    """`compute(scores=R)`: {"backward_transfer": change of earlier tasks since they were learned}."""

    def _info(self) -> evaluate.MetricInfo:
        return _matrix_info(continual.backward_transfer)

    def _compute(self, scores: list[list[float]]) -> dict[str, float]:
        return {"backward_transfer": continual.backward_transfer(scores)}


class ForwardTransfer(_InMemory, evaluate.Metric):
    """`compute(scores=R, baseline=)`: {"forward_transfer": gain over `baseline` before a task is learned}."""

    def _info(self) -> evaluate.MetricInfo:
        return _matrix_info(continual.forward_transfer)

    def _compute(self, scores: list[list[float]], baseline: float | list[float]) -> dict[str, float]:
        return {"forward_transfer": continual.forward_transfer(scores, baseline)}


class Forgetting(_InMemory, evaluate.Metric):
    """`compute(scores=R)`: {"forgetting": how far earlier tasks are below their best}."""

    def _info(self) -> evaluate.MetricInfo:
        return _matrix_info(continual.forgetting)

    def _compute(self, scores: list[list[float]]) -> dict[str, float]:
        return {"forgetting": continual.forgetting(scores)}


def _metric_info(function: Callable[..., float], *inputs: str) -> evaluate.MetricInfo:
    return evaluate.MetricInfo(description=function.__doc__, citation="", features=_columns(*inputs))


def _matrix_info(function: Callable[..., float]) -> evaluate.MetricInfo:
    row = datasets.Features({"scores": datasets.Sequence(datasets.Value("float64"))})
    return evaluate.MetricInfo(description=function.__doc__, citation="", features=row)


def _columns(*inputs: str) -> datasets.Features:
    return datasets.Features({name: datasets.Value("float64") for name in (*inputs, "references")})
