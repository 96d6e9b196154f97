"""Calibration: take out of the scores what a model says whatever it is asked, without any label.

    calibrated_ij = log p_ij - log prior_j, each row normalised again,    p_i = softmax(scores_i)

`prior` is the mean answer to inputs that say nothing (contextual calibration), or to a fixed set of unlabelled inputs
(batch calibration). Everything is computed in log space, so that label scores of -10000 are no 0.

Sources: Zhao et al. 2021, "Calibrate Before Use", section 5 (arXiv:2102.09690; W = diag(p_cf)^-1, b = 0); Zhou et al.
2023, "Batch Calibration", section 3 (arXiv:2309.17249).
"""

import numpy as np
from scipy.special import log_softmax, logsumexp

CONTENT_FREE = ("N/A", "[MASK]", "")  # Zhao et al. 2021, section 5
FLOOR = -1000.0  # nats: the lowest offset, so that a label of probability 0 gets a finite one


def contextual_offsets(content_free: np.ndarray) -> np.ndarray:
    """(labels,): log of the mean probability of every label over inputs without content.

    Args:
        content_free: (inputs, labels), log-scores of `CONTENT_FREE`. Rows of all 0 (unreadable answers) are left out.

    Returns:
        Offsets in nats, at least `FLOOR`; all the same where no row is left.

    Example:
        >>> np.exp(contextual_offsets(np.log([[0.9, 0.1], [0.7, 0.3]]))).round(3).tolist()
        [0.8, 0.2]
    """
    return _log_mean_probability(content_free)


def batch_offsets(log_scores: np.ndarray) -> np.ndarray:
    """(labels,): log of the mean probability of every label over unlabelled inputs.

    The inputs are a fixed set, drawn from the training data: taken from the inputs to answer, as in the paper, an
    answer would depend on those that come with it.

    Args:
        log_scores: (inputs, labels), log-scores of that set. Rows of all 0 (unreadable answers) are left out.

    Returns:
        Offsets in nats, at least `FLOOR`; all the same where no row is left.

    Example:
        >>> np.exp(batch_offsets(np.log([[0.8, 0.2], [0.4, 0.6]]))).round(3).tolist()
        [0.6, 0.4]
    """
    return _log_mean_probability(log_scores)


def calibrated(log_scores: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(inputs, labels): log-probabilities without what `offsets` say; each row depends on itself alone.

    Args:
        log_scores: (inputs, labels). Rows of all 0 (unreadable answers) stay as they are.
        offsets: (labels,), of `contextual_offsets` or `batch_offsets`.

    Example:
        >>> np.exp(calibrated(np.log([[0.6, 0.4]]), np.log([0.8, 0.2]))).round(3).tolist()
        [[0.273, 0.727]]
    """
    log_scores = np.asarray(log_scores, dtype=np.float64)
    return np.where(_readable(log_scores)[:, None], log_softmax(log_scores - offsets, axis=1), log_scores)


def _log_mean_probability(log_scores: np.ndarray) -> np.ndarray:
    log_scores = np.asarray(log_scores, dtype=np.float64)
    rows = log_scores[_readable(log_scores)]
    if not len(rows):
        return np.full(log_scores.shape[1], -np.log(log_scores.shape[1]))
    mean = logsumexp(log_softmax(rows, axis=1), axis=0) - np.log(len(rows))
    return np.asarray(np.maximum(mean, FLOOR))


def _readable(log_scores: np.ndarray) -> np.ndarray:
    """(inputs,): False where a row is all 0, as `Scores` says of unreadable answers."""
    return np.asarray(log_scores.any(axis=1))
