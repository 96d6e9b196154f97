"""One eigendecomposition of centred features; ridge, LogME and the shrunk H-score are all read off it.

    X = basis diag(sqrt(spectrum)) V'        X: (rows, width), each column minus its mean

Only what the data spans is kept, so wide features of few rows cost no more than the rows do. V is never needed: none
of the estimators changes when the features are rotated.

Features in fp32, of no more columns than rows, are decomposed in fp32, which takes half the time. The spectrum is then
not what the solver says of X'X, whose small eigenvalues drown in rounding, but the squared lengths of the columns of
X V (Rayleigh quotients), whose error is the square of that of V. Where the eigenvalues span more than fp32 tells
apart, all is done again in fp64.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

FLOAT32_SPAN = 1e-6  # of the largest eigenvalue: below, the vectors that fp32 finds are not told apart
FLOAT32_FLOOR = 1e-9  # of the largest eigenvalue: the rounding of fp32 features, and of X V, stays below
NOTHING = 1e-12  # of the largest eigenvalue: what rounding leaves where there is none
FLOAT32_NOISE = 1e-14  # of the features' sum of squares: what fp32 leaves of a feature that never changes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Eigen:
    """Centred features in their own axes.

    Fields:
        basis: (rows, rank), orthonormal columns, each of mean 0; fp32 or fp64.
        spectrum: (rank,) the eigenvalues above 0 of X'X, fp64, ascending but for rounding.
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
    single = width <= rows and features.dtype == np.float32
    x: np.ndarray = np.array(features, dtype=np.float32 if single else np.float64)
    squares = float(np.vdot(x, x))
    for _ in range(2):  # what rounding leaves of a large mean goes in the second turn
        x -= x.mean(axis=0)
    if width > rows:
        return _of_gram(x @ x.T, squares, width)
    return _of_columns(x, squares) or decompose(features.astype(np.float64))


def _of_columns(x: np.ndarray, squares: float) -> Eigen | None:
    """The decomposition of centred `x`, (rows, width); None where fp32 is not enough for it."""
    _, vectors = _eigh(x.T @ x)
    basis = x @ vectors
    spectrum = np.einsum("ij,ij->j", basis, basis, dtype=np.float64)
    least = _floor(spectrum, squares)
    if x.dtype == np.float32:
        most = float(spectrum.max())
        if ((spectrum > max(least, FLOAT32_FLOOR * most)) & (spectrum < FLOAT32_SPAN * most)).any():
            return None
        least = max(least, FLOAT32_SPAN * most)
    kept = spectrum > least
    basis, spectrum = (basis, spectrum) if kept.all() else (basis[:, kept], spectrum[kept])
    basis /= np.sqrt(spectrum).astype(basis.dtype)
    return Eigen(basis=basis, spectrum=spectrum, rows=len(x), width=x.shape[1])


def class_sums(eigen: Eigen, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(n_classes, rank): the sum of the basis over the rows of each class, which is also basis' times one-hot labels.

    Centring the one-hot columns would change nothing, as each column of the basis has mean 0.

    Example:
        >>> eigen = decompose(np.array([[1.0], [-1.0], [3.0], [-3.0]]))
        >>> class_sums(eigen, np.array([0, 1, 0, 1]), 2).sum().round(9)
        np.float64(0.0)
    """
    from scipy import sparse

    rows = np.arange(eigen.rows)
    one_hot = sparse.csr_matrix(
        (np.ones(eigen.rows, eigen.basis.dtype), (labels, rows)), shape=(n_classes, eigen.rows)
    )
    sums: np.ndarray = one_hot @ eigen.basis
    return sums


def _of_gram(gram: np.ndarray, squares: float, width: int) -> Eigen:
    spectrum, vectors = _eigh(gram)
    kept = spectrum > _floor(spectrum, squares)
    return Eigen(basis=vectors[:, kept], spectrum=spectrum[kept], rows=len(gram), width=width)


def _eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(eigenvalues ascending, eigenvectors in columns) of a symmetric matrix, which is overwritten."""
    from scipy.linalg import eigh

    values, vectors = eigh(matrix.T, driver="evd", overwrite_a=True, check_finite=False)  # half the time of NumPy's
    return values, vectors


def _centred_gram(gram: np.ndarray) -> np.ndarray:
    """Inner products of the rows after the mean row is taken off, from those before."""
    means = gram.mean(axis=0)
    centred: np.ndarray = gram - means - means[:, None] + means.mean()
    return centred


def _floor(spectrum: np.ndarray, squares: float) -> float:
    return max(NOTHING * float(spectrum.max()), FLOAT32_NOISE * squares)
