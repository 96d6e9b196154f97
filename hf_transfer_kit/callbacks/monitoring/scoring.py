"""Scores of any data set during training, with the Trainer's own evaluation loop and without a trace.

Two traps of transformers 5.23 are closed here. With persistent workers the Trainer caches one data loader for all eval
sets without a name, so a second set would silently be scored as the first. And its evaluation loop tells callbacks,
which would draw the progress of an evaluation that never ends for them: here they hear nothing.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from transformers import Trainer

from hf_transfer_kit import metrics
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.isolation import undisturbed

LOWER_IS_BETTER = ("loss", "perplexity")


class Scorer:
    """Scores data sets with the model in training; the model, random states and other callbacks notice nothing.

    Args:
        trainer: in training.
        metric: a key of its compute_metrics, or "accuracy", "loss" (the Trainer's eval loss, nats), "perplexity" (exp
            of it). In that loss an incomplete last batch counts as much as a full one. For GPT-2 and others without a
            `loss_type` of their own the Trainer divides by one token too many per row (5.23);
            `model.loss_type = "ForCausalLM"`, set before the Trainer is made, mends it.
    """

    def __init__(self, trainer: Trainer, metric: str):
        self._trainer: Any = trainer
        self._metric = metric
        self._loaders: dict[str, Any] = {}  # one each: a new one at every evaluation would leave its workers behind

    def score(self, name: str, data: Any) -> tuple[float, float]:
        """Loss (NaN where the model gives none) and metric on `data`; a dict of data sets gets the mean of its parts.

        Raises:
            PlanError: there is no such metric.
            DataError: `data` is empty or gives no loss, and the metric needs it.
        """
        parts = data if isinstance(data, Mapping) else {"": data}
        losses, values = zip(*(self._score_one((name, part), parts[part]) for part in parts), strict=True)
        return float(np.mean(losses)), float(np.mean(values))

    def logged(self, data: Any) -> float | None:
        """The metric on the Trainer's own eval set, `data`, if the Trainer has logged it at this step."""
        state = self._trainer.state
        key = "loss" if self._metric == "perplexity" else self._metric
        keys = [f"eval_{name}_{key}" for name in data] if isinstance(data, Mapping) else [f"eval_{key}"]
        now = {k: v for entry in state.log_history if entry.get("step") == state.global_step for k, v in entry.items()}
        if not all(key in now for key in keys):
            return None
        return float(np.mean([math.exp(now[k]) if self._metric == "perplexity" else now[k] for k in keys]))

    def _score_one(self, name: Any, data: Any) -> tuple[float, float]:
        trainer, only_loss = self._trainer, self._metric in LOWER_IS_BETTER
        with undisturbed(trainer.model), _unnoticed(trainer):
            if name not in self._loaders:
                self._loaders[name] = trainer.get_eval_dataloader(data)
            loader = self._loaders[name]
            loader.iteration = 0  # data that shuffles itself by epoch comes in the same order each time
            output = trainer.evaluation_loop(
                loader, description="Evaluation of old data", prediction_loss_only=only_loss, metric_key_prefix="old"
            )
        loss = output.metrics.get("old_loss", math.nan)
        if only_loss:
            if "old_loss" not in output.metrics:
                raise DataError(f"metric='{self._metric}' needs a loss, but there is none: no labels or no rows.")
            return loss, math.exp(min(loss, 700.0)) if self._metric == "perplexity" else loss
        if f"old_{self._metric}" in output.metrics:
            return loss, float(output.metrics[f"old_{self._metric}"])
        return loss, self._accuracy(output)

    def _accuracy(self, output: Any) -> float:
        """From the class scores themselves, where each row has one label."""
        predictions, labels = output.predictions, output.label_ids
        classifies = (
            isinstance(predictions, np.ndarray) and predictions.ndim == 2 and predictions.shape[1] > 1
            and predictions.dtype.kind == "f" and isinstance(labels, np.ndarray) and labels.ndim == 1
            and labels.dtype.kind in "iu"
        )  # fmt: skip
        if self._metric != "accuracy" or not classifies:
            given = ", ".join(sorted(key.removeprefix("old_") for key in output.metrics)) or "nothing"
            raise PlanError(
                f"metric='{self._metric}' is neither in what compute_metrics returns ({given}) nor the "
                "accuracy of a classifier with one label per row; add it to the Trainer's compute_metrics, or use "
                "metric='loss' or 'perplexity'."
            )
        return metrics.accuracy(labels, predictions.argmax(axis=1))


@contextmanager
def _unnoticed(trainer: Any) -> Iterator[None]:
    """Keeps other callbacks, the Trainer's cached data loaders and what subclasses sum up out of an evaluation."""
    handler = trainer.callback_handler
    callbacks, shown = handler.callbacks, handler.eval_dataloader
    cached = vars(trainer).pop("_eval_dataloaders", None)
    summed = getattr(trainer, "_metrics", None)  # TRL 1.16 adds up metrics in prediction_step
    if summed is not None:
        trainer._metrics = copy.deepcopy(summed)
    handler.callbacks = []
    try:
        yield
    finally:
        handler.callbacks, handler.eval_dataloader = callbacks, shown
        vars(trainer).pop("_eval_dataloaders", None)
        if cached is not None:
            trainer._eval_dataloaders = cached
        if summed is not None:
            trainer._metrics = summed
