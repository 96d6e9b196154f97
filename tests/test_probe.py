"""The probes against explicit refits, scikit-learn, and invariants."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from hf_transfer_kit import probe
from hf_transfer_kit.eigen import decompose
from hf_transfer_kit.probe import choose_layer, fit_logistic_head, ridge_leave_one_out


def blobs(rows: int, width: int, classes: int, *, apart: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(features, labels): gaussian classes, whose centres lie further apart the larger `apart` is; far from 0."""
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    centres = np.random.default_rng(99).normal(size=(classes, width)) * apart
    scales = np.random.default_rng(98).uniform(0.5, 2.0, width)
    return ((centres[labels] + random.normal(size=(rows, width))) * scales + 3.0), labels


def left_out_by_refits(x: np.ndarray, labels: np.ndarray, classes: int, strength: float) -> np.ndarray:
    """(rows, classes): every row's scores by the ridge with an intercept that is fitted to the other rows."""
    centred = x - x.mean(axis=0)
    penalty = strength * (centred**2).sum() / x.shape[1]
    targets, scores = np.eye(classes)[labels], np.empty((len(x), classes))
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        design = np.column_stack([x[others], np.ones(len(x) - 1)])
        shrink = np.diag([penalty] * x.shape[1] + [0.0])  # the intercept is free
        weights = np.linalg.solve(design.T @ design + shrink, design.T @ targets[others])
        scores[i] = np.append(x[i], 1.0) @ weights
    return scores


@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize(("rows", "width"), [(40, 6), (20, 35), (25, 25)])
def test_leaving_one_out_equals_refitting_without_each_row(monkeypatch, rows: int, width: int, strength: float):
    monkeypatch.setattr(probe, "STRENGTHS", (strength,))
    x, labels = blobs(rows, width, 3)
    scores = left_out_by_refits(x, labels, 3, strength)
    found = ridge_leave_one_out(x, labels, 3)
    assert found.hits.tolist() == (scores.argmax(axis=1) == labels).tolist()
    assert found.accuracy == (scores.argmax(axis=1) == labels).mean()
    np.testing.assert_allclose(found.squared_error, ((scores - np.eye(3)[labels]) ** 2).mean(), rtol=1e-6)
    assert found.strength == strength


def test_the_best_of_the_strengths_is_taken():
    x, labels = blobs(40, 30, 3, apart=0.3)
    scores = {s: left_out_by_refits(x, labels, 3, s) for s in probe.STRENGTHS}
    accuracies = {s: float((left.argmax(axis=1) == labels).mean()) for s, left in scores.items()}
    found = ridge_leave_one_out(x, labels, 3)
    assert len(set(accuracies.values())) > 1
    assert found.accuracy == max(accuracies.values()) == accuracies[found.strength]


@pytest.mark.parametrize(("rows", "width"), [(60, 8), (20, 40)])
def test_order_place_and_scale_of_the_features_change_nothing(rows: int, width: int):
    x, labels = blobs(rows, width, 4)
    order = np.random.default_rng(5).permutation(rows)
    plain = ridge_leave_one_out(x, labels, 4)
    for other, its_labels in ((x[order], labels[order]), (x + 100.0, labels), (x * 1e-4, labels)):
        found = ridge_leave_one_out(other, its_labels, 4)
        assert (found.accuracy, found.strength) == (plain.accuracy, plain.strength)
        np.testing.assert_allclose(found.squared_error, plain.squared_error, rtol=1e-6)


@pytest.mark.parametrize("width", [3, 40])
def test_features_that_are_all_the_same_say_nothing_and_break_nothing(width: int):
    """Without a feature, a left-out row gets the mean of the others, in which its own class is the rarer one."""
    labels = np.array([0, 1] * 10)
    with np.errstate(all="raise"):
        found = ridge_leave_one_out(np.full((20, width), 7.0), labels, 2)
    assert found.accuracy == 0.0
    np.testing.assert_allclose(found.squared_error, (10 / 19) ** 2)


@pytest.mark.parametrize(("rows", "width"), [(200, 30), (30, 200)])
def test_a_decomposition_fp32_and_sparse_features_give_the_same_answers(rows: int, width: int):
    x, labels = blobs(rows, width, 5, apart=0.4)
    x = x.astype(np.float32)
    plain = ridge_leave_one_out(x.astype(np.float64), labels, 5)
    for other in (x, sparse.csr_matrix(x.astype(np.float64)), decompose(x)):
        found = ridge_leave_one_out(other, labels, 5)
        assert found.hits.tolist() == plain.hits.tolist()
        np.testing.assert_allclose(found.squared_error, plain.squared_error, rtol=1e-5)


def test_every_rare_row_is_answered_by_the_majority_of_the_others():
    labels = np.array([0] * 15 + [1] * 5)
    for x in (np.ones((20, 3)), np.ones((20, 3), dtype=np.float32)):
        assert ridge_leave_one_out(x, labels, 2).hits.tolist() == [True] * 15 + [False] * 5


def test_the_layer_that_tells_the_classes_apart_is_chosen():
    _, labels = blobs(120, 8, 3)
    layers = {str(i): blobs(120, 8, 3, apart=apart)[0] for i, apart in enumerate((0.0, 0.3, 2.0, 0.5))}
    best, results = choose_layer(layers, labels, 3)
    assert best == "2"
    assert list(results) == list(layers)
    assert results["0"].accuracy < 0.5 < results["2"].accuracy


def test_of_many_rows_a_seeded_part_is_looked_at(monkeypatch):
    monkeypatch.setattr(probe, "MAX_PROBE_ROWS", 30)
    x, labels = blobs(500, 4, 2, apart=0.4)
    accuracies = [choose_layer({"a": x}, labels, 2, seed=seed)[1]["a"].accuracy for seed in (0, 0, 1, 2, 3)]
    assert accuracies[0] == accuracies[1]
    assert len(set(accuracies)) > 1
    assert all(round(accuracy * 30, 6) == round(accuracy * 30) for accuracy in accuracies)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_head_is_logistic_regression_on_standardised_features(classes: int):
    x, labels = blobs(300, 10, classes, apart=0.5)
    train, validation = slice(0, 200), slice(200, None)
    head = fit_logistic_head(x[train], labels[train], x[validation], labels[validation], classes)
    z = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    models = {
        c: LogisticRegression(C=c, max_iter=10_000, tol=1e-8).fit(z[train], labels[train])
        for c in probe.INVERSE_PENALTIES
    }
    losses = {
        c: -model.predict_log_proba(z[validation])[np.arange(100), labels[validation]].mean()
        for c, model in models.items()
    }
    assert head.inverse_penalty == min(losses, key=losses.get)
    logits = head.logits(x[validation])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, models[head.inverse_penalty].predict_proba(z[validation]), atol=5e-3)
    assert head.weight.shape == (10, classes) and head.weight.dtype == head.bias.dtype == np.float32
    assert head.flops > 4 * 2000 * classes * 3  # at least one step for each of three penalties


def test_sparse_rows_are_not_standardised():
    x, labels = blobs(200, 10, 3)
    rows = sparse.csr_matrix(np.maximum(x, 0) / np.linalg.norm(x, axis=1, keepdims=True))
    head = fit_logistic_head(rows[:150], labels[:150], rows[150:], labels[150:], 3)
    model = LogisticRegression(C=head.inverse_penalty, max_iter=10_000, tol=1e-8).fit(rows[:150], labels[:150])
    assert head.inverse_penalty in probe.SPARSE_INVERSE_PENALTIES
    logits = head.logits(rows[150:])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, model.predict_proba(rows[150:]), atol=0.02)


@pytest.mark.parametrize("seen", [[0, 2], [0, 2, 3]])
def test_a_class_without_examples_never_wins(seen: list[int]):
    x, labels = blobs(200, 5, 4, apart=2.0)
    known = np.isin(labels, seen)
    head = fit_logistic_head(x[known], labels[known], x[~known], labels[~known], 4)
    logits = head.logits(np.random.default_rng(0).normal(size=(1000, 5)) * 100)
    assert logits.shape == (1000, 4)
    assert set(logits.argmax(axis=1)) == set(seen)
    assert (head.logits(x[known]).argmax(axis=1) == labels[known]).mean() > 0.9


def test_a_feature_that_changes_by_rounding_alone_has_no_weight():
    """The last bit of the feature says the class; a weight of millions would be needed to read it."""
    x, labels = blobs(100, 4, 2)
    x = x.astype(np.float32)
    x[:, 1] = np.where(labels == 1, np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1)))
    head = fit_logistic_head(x, labels, x, labels, 2)
    assert np.abs(head.weight[1]).max() < 1e-4 < np.abs(head.weight[[0, 2, 3]]).min()


def test_many_classes_do_not_stop_the_fit_before_it_has_begun():
    """With a hundred classes, one row each, all gradients are small; the rows are theirs to separate all the same."""
    labels = np.arange(100)
    x = sparse.csr_matrix(np.eye(100))
    head = fit_logistic_head(x, labels, x, labels, 100)
    assert np.exp(head.logits(x) - np.log(np.exp(head.logits(x)).sum(axis=1, keepdims=True))).diagonal().min() > 0.3
