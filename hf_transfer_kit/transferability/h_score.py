"""The shrunk H-score: how much of the features' variance lies between the classes, in units of the whole.

    H = (1 - a) trace(S_a^-1 B)        S_a = (1 - a) S + a mu I        mu = trace(S) / width

S is the covariance of the features, B that of their class means, a the shrinkage of Ledoit & Wolf 2004. It needs no
inverse here: in the features' own axes S_a is diagonal, and no class mean leaves what the rows span.

Source: Ibrahim, Ponomareva & Mazumder 2021, "Newer is not always better" (arXiv:2110.06893), equation 6; Bao et al.
2019 for the score without shrinkage.
"""

import numpy as np

from hf_transfer_kit.eigen import Eigen, class_sums


def shrinkage(eigen: Eigen) -> float:
    """The Ledoit-Wolf shrinkage of the covariance towards a multiple of the identity, in [0, 1].

    Source: Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices".
    """
    variances = eigen.spectrum / eigen.rows
    squares, mean = float((variances**2).sum()), float(variances.sum()) / eigen.width
    distance = squares - eigen.width * mean**2  # of S from mu I
    lengths = (eigen.basis * eigen.basis) @ eigen.spectrum.astype(
        eigen.basis.dtype
    )  # squared length of every centred row
    noise = (float((lengths.astype(np.float64) ** 2).mean()) - squares) / eigen.rows  # of S itself
    return min(1.0, max(0.0, noise / distance)) if distance > 0 else 1.0


def h_score(eigen: Eigen, labels: np.ndarray, n_classes: int) -> float:
    """The shrunk H-score, between 0 and the number of classes less one; only for comparing features of the same rows.

    Args:
        labels: (rows,) class numbers below `n_classes`.

    Example:
        >>> from hf_transfer_kit.eigen import decompose
        >>> eigen = decompose(np.array([[0.0, 0.2], [0.1, 0.0], [1.0, 0.2], [1.1, 0.0]] * 5))
        >>> apart, mixed = np.array([0, 0, 1, 1] * 5), np.array([0, 1, 1, 0] * 5)
        >>> h_score(eigen, apart, 2) > h_score(eigen, mixed, 2)
        True
    """
    if not len(eigen.spectrum):
        return 0.0
    counts = np.bincount(labels, minlength=n_classes)
    sums = class_sums(eigen, labels, n_classes)  # lengths sqrt(spectrum) come below
    between = (sums**2 / np.maximum(counts, 1)[:, None]).sum(axis=0) * eigen.spectrum / eigen.rows
    a = shrinkage(eigen)
    variances = eigen.spectrum / eigen.rows
    shrunk = (1.0 - a) * variances + a * variances.sum() / eigen.width
    return float((1.0 - a) * (between / shrunk).sum())
