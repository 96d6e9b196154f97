"""The decomposition: whatever the shape, it gives the centred features back up to a rotation."""

import numpy as np
import pytest
from scipy import sparse

from hf_transfer_kit.transferability.eigen import decompose

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(30, 5), (5, 30), (12, 12)])
def test_inner_products_of_centred_rows_come_back(shape):
    x = DRAW.normal(size=shape) + 3.0
    eigen = decompose(x)
    centred = x - x.mean(axis=0)

    np.testing.assert_allclose((eigen.basis * eigen.spectrum) @ eigen.basis.T, centred @ centred.T, atol=1e-9)
    np.testing.assert_allclose(eigen.basis.T @ eigen.basis, np.eye(len(eigen.spectrum)), atol=1e-8)
    np.testing.assert_allclose(eigen.basis.sum(axis=0), 0.0, atol=1e-9)


def test_the_rank_is_at_most_the_rows_less_one():
    assert len(decompose(DRAW.normal(size=(5, 30))).spectrum) == 4


@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
def test_copies_of_columns_and_constant_columns_add_no_rank(shape):
    x = DRAW.normal(size=shape).astype(np.float32)
    more = np.concatenate([x, x, np.full((len(x), 3), 0.1, dtype=np.float32)], axis=1)

    assert len(decompose(more).spectrum) == len(decompose(x).spectrum)


def test_constant_features_have_no_axes():
    for shape in ((20, 3), (3, 20)):
        assert len(decompose(np.full(shape, 0.1, dtype=np.float32)).spectrum) == 0


@pytest.mark.parametrize("shape", [(20, 6), (6, 20)])
def test_sparse_features_give_what_dense_ones_do(shape):
    x = DRAW.normal(size=shape) * (DRAW.random(shape) < 0.4)
    dense, thin = decompose(x), decompose(sparse.csr_matrix(x))

    np.testing.assert_allclose(thin.spectrum, dense.spectrum, rtol=1e-9)
    assert (thin.rows, thin.width) == shape
