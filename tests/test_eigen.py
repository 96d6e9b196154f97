"""The decomposition: whatever the shape, it gives the centred features back up to a rotation."""

import numpy as np
import pytest
from scipy import sparse

from hf_transfer_kit.eigen import class_sums, decompose

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(30, 5), (5, 30), (12, 12)])
def test_inner_products_of_centred_rows_come_back(shape):
    x = DRAW.normal(size=shape) + 3.0
    eigen = decompose(x)
    centred = x - x.mean(axis=0)

    np.testing.assert_allclose((eigen.basis * eigen.spectrum) @ eigen.basis.T, centred @ centred.T, atol=1e-9)
    np.testing.assert_allclose(eigen.basis.T @ eigen.basis, np.eye(len(eigen.spectrum)), atol=1e-8)
    np.testing.assert_allclose(eigen.basis.sum(axis=0), 0.0, atol=1e-9)


@pytest.mark.parametrize("mean", [0.0, 20.0])
def test_fp32_features_give_what_their_fp64_copies_do(mean):
    x = (DRAW.normal(size=(200, 40)) * np.logspace(0, -2, 40)) @ np.linalg.qr(DRAW.normal(size=(40, 40)))[0]
    x = (x + mean).astype(np.float32)
    fast, sure = decompose(x), decompose(x.astype(np.float64))

    assert fast.basis.dtype == np.float32
    np.testing.assert_allclose(np.sort(fast.spectrum), sure.spectrum, rtol=1e-4)
    np.testing.assert_allclose(fast.basis.T @ fast.basis, np.eye(40), atol=2e-3)
    np.testing.assert_allclose(fast.basis.sum(axis=0), 0.0, atol=1e-3)


def test_a_span_beyond_fp32_is_decomposed_in_fp64():
    """Variances over eight orders of magnitude, as some layers have them."""
    x = (DRAW.normal(size=(200, 40)) * np.logspace(0, -4, 40)) @ np.linalg.qr(DRAW.normal(size=(40, 40)))[0]
    x = x.astype(np.float32)
    np.testing.assert_array_equal(decompose(x).spectrum, decompose(x.astype(np.float64)).spectrum)


def test_a_direction_that_never_changes_does_not_cost_fp64():
    """After a layer norm every row of the features has the same sum."""
    x = DRAW.normal(size=(200, 40)).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    eigen = decompose(x)
    assert (eigen.basis.dtype, len(eigen.spectrum)) == (np.float32, 39)


def test_class_sums_are_those_of_centred_one_hot_labels():
    eigen, labels = decompose(DRAW.normal(size=(30, 4))), np.arange(30) % 3
    one_hot = np.eye(5)[labels]

    np.testing.assert_allclose(
        class_sums(eigen, labels, 5), (one_hot - one_hot.mean(axis=0)).T @ eigen.basis, atol=1e-9
    )


def test_the_features_are_not_changed():
    for dtype in (np.float32, np.float64):
        x = DRAW.normal(size=(9, 4)).astype(dtype)
        before = x.copy()
        decompose(x)
        np.testing.assert_array_equal(x, before)


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
