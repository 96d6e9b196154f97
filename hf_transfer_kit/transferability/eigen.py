"""One eigendecomposition of centred features; ridge, LogME and the shrunk H-score are all read off it.

    X = basis diag(sqrt(spectrum)) V'        X: (rows, width), each column minus its mean

Only what the data spans is kept, so wide features of few rows cost no more than the rows do. V is never needed: none
of the estimators changes when the features are rotated.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

NOTHING = 1e-12  # of the largest eigenvalue: what rounding leaves where there is none
FLOAT32_NOISE = 1e-14  # of the features' sum of squares: what fp32 leaves of a feature that never changes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Eigen:
    """Centred features in their own axes.

    Fields:
        basis: (rows, rank), orthonormal columns, each of mean 0.
        spectrum: (rank,) the eigenvalues above 0 of X'X, ascending.
        rows, width: of the features.
    """

    basis: np.ndarray
    spectrum: np.ndarray
    rows: int
    width: int


def decompose(features: Any) -> Eigen:
    """The eigendecomposition of `features`, (rows, width), dense or scipy sparse, at the cost of the smaller side.

    Example:
        >>> eigen = decompose(np.array([[1.0, 0.0], [-1.0, 0.0], [3.0, 0.0], [-3.0, 0.0]]))
        >>> eigen.spectrum.tolist(), eigen.basis.shape
        ([20.0], (4, 1))
    """
    from scipy import sparse

    rows, width = features.shape
    if sparse.issparse(features):
        if width > rows:
            gram = (features @ features.T).toarray().astype(np.float64)
            return _of_gram(_centred_gram(gram), float(np.trace(gram)), width)
        features = features.toarray()
    x = features.astype(np.float64)
    squares = float(np.vdot(x, x))
    x -= x.mean(axis=0)
    if width > rows:
        return _of_gram(x @ x.T, squares, width)
    spectrum, vectors = np.linalg.eigh(x.T @ x)
    kept = spectrum > _floor(spectrum, squares)
    basis = x @ (vectors[:, kept] / np.sqrt(spectrum[kept]))
    return Eigen(basis=basis, spectrum=spectrum[kept], rows=rows, width=width)


def _of_gram(gram: np.ndarray, squares: float, width: int) -> Eigen:
    spectrum, vectors = np.linalg.eigh(gram)
    kept = spectrum > _floor(spectrum, squares)
    return Eigen(basis=vectors[:, kept], spectrum=spectrum[kept], rows=len(gram), width=width)


def _centred_gram(gram: np.ndarray) -> np.ndarray:
    """Inner products of the rows after the mean row is taken off, from those before."""
    means = gram.mean(axis=0)
    centred: np.ndarray = gram - means - means[:, None] + means.mean()
    return centred


def _floor(spectrum: np.ndarray, squares: float) -> float:
    return max(NOTHING * float(spectrum[-1]), FLOAT32_NOISE * squares)
