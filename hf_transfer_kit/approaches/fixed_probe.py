"""A linear probe on a model's features that is trained once, on texts without labels, and then stays as it is.

K-means clusters of the texts' features stand in for labels. The probe is what a reader that was trained on the
features looks like: what it reads from a later model's features is what is left for such readers.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from hf_transfer_kit.errors import DataError
from hf_transfer_kit.features import extract
from hf_transfer_kit.tasks.task import Task

CLUSTERS, LEAST_A_CLUSTER = 10, 5  # most clusters; texts for each, on average, or there are fewer
SEED = 0
INVERSE_PENALTY = 0.1  # of the probe: C in scikit-learn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """Logits = features @ weight + bias.

    Fields:
        weight: (width, clusters), fp32. bias: (clusters,), fp32.
    """

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(rows, clusters) for features (rows, width)."""
        logits: np.ndarray = features @ self.weight + self.bias
        return logits


class ProbedBody(nn.Module):
    """A body under a probe: a classifier of transformers to whoever trains it or measures its weights.

    Args:
        body: a model without a head.
        probe: on its last layer's features, pooled as `task` does.
    """

    base_model_prefix = "body"  # by which the body's parameters are found

    def __init__(self, body: Any, probe: Probe, task: Task):
        super().__init__()
        self.body, self._task = body, task
        width, clusters = probe.weight.shape
        self.probe = nn.Linear(width, clusters, device=body.device)
        with torch.no_grad():
            self.probe.weight.copy_(torch.from_numpy(probe.weight.T))
            self.probe.bias.copy_(torch.from_numpy(probe.bias))

    def forward(self, labels: torch.Tensor | None = None, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits over the clusters, and with labels the cross entropy."""
        hidden = self.body(**inputs).last_hidden_state
        logits = self.probe(self._task.pool(hidden, inputs))
        return {"logits": logits} | ({} if labels is None else {"loss": nn.functional.cross_entropy(logits, labels)})


def last_features(task: Task, backbone: Any, processor: Any, texts: Sequence[str], max_length: int) -> np.ndarray:
    """(texts, width): what the probe stands on."""
    return extract(task, backbone, processor, texts, max_length=max_length, count_flops=False).layers[-1]


def fit_probe(features: np.ndarray) -> tuple[Probe, np.ndarray]:
    """(the probe, the cluster of each row, numbered from 0).

    Args:
        features: (rows, width).

    Raises:
        DataError: there are too few rows, or they are all the same.

    Example:
        >>> probe, clusters = fit_probe(np.repeat([[0.0], [1.0]], 5, axis=0))
        >>> (probe.logits(np.array([[0.0], [1.0]])).argmax(axis=1) == clusters[[0, 9]]).all()
        np.True_
    """
    from sklearn.cluster import KMeans
    from sklearn.linear_model import LogisticRegression

    count = min(CLUSTERS, len(features) // LEAST_A_CLUSTER)
    if count < 2:
        least = 2 * LEAST_A_CLUSTER
        raise DataError(f"{len(features)} old train texts are too few for a probe on features; give {least} or more.")
    centre, scale = _scale(features)
    scaled = (features - centre) / scale
    with warnings.catch_warnings():  # texts that look the same to the model leave fewer clusters, which is no mistake
        warnings.filterwarnings("ignore", module="sklearn")
        found = KMeans(count, n_init=10, random_state=SEED).fit(scaled).labels_
    present, labels = np.unique(found, return_inverse=True)
    if len(present) < 2:
        raise DataError("the model gives all old texts the same features, so there is nothing to read; give others.")
    clusters = np.asarray(labels, dtype=np.int64)
    fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(scaled, clusters)
    coefficients, bias = fitted.coef_, fitted.intercept_
    if len(present) == 2:  # scikit-learn keeps one row for two classes
        coefficients, bias = np.concatenate([-coefficients, coefficients]) / 2, np.concatenate([-bias, bias]) / 2
    weight = coefficients.T / scale[:, None]
    bias = bias - centre @ weight
    return Probe(weight=weight.astype(np.float32), bias=bias.astype(np.float32)), clusters


def _scale(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, spread) of each feature, the spread of the typical one at least.

    Some models have features a hundred times as large as the rest, which would decide alone, and some that are almost
    constant (MiniLM has): divided by their own spread, rounding errors would be read from them.
    """
    spread = features.std(axis=0, dtype=np.float64)
    return features.mean(axis=0, dtype=np.float64), np.maximum(spread, np.median(spread) or 1.0)
