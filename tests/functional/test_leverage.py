import numpy as np
import pytest
from scipy.linalg import hilbert, qr

from sklearnloss.functional import leverage as module
from sklearnloss.functional.leverage import leverage_scores


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(50, 6))


def by_qr(X):
    return (qr(X, mode="economic")[0] ** 2).sum(axis=1)


@pytest.mark.parametrize("block", [7, 8192])
def test_are_the_squared_rows_of_q_and_add_up_to_the_rank(X, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    np.testing.assert_allclose(leverage_scores(X), by_qr(X), rtol=1e-12)
    assert leverage_scores(X).sum() == pytest.approx(6)


@pytest.mark.parametrize("ridge", [0.1, 100.0])
@pytest.mark.parametrize("rows", [50, 4])
def test_with_a_ridge_are_those_of_the_normal_equations(X, ridge, rows):
    X = X[:rows]
    hat = X @ np.linalg.inv(X.T @ X + ridge * np.eye(6)) @ X.T
    np.testing.assert_allclose(leverage_scores(X, ridge=ridge), np.diag(hat), rtol=1e-10)


def test_do_not_depend_on_the_units_of_columns(X):
    units = np.array([1e-12, 1e9, 1, 1e-3, 1e6, 1])
    np.testing.assert_allclose(leverage_scores(X * units), leverage_scores(X), rtol=1e-9)


def test_keep_their_digits_where_columns_almost_depend_on_each_other():
    X = np.vstack([hilbert(8)] * 3) + 1e-3 * np.random.default_rng(0).normal(size=(24, 8))
    near = np.column_stack([X, X[:, 0] + 1e-9 * np.arange(24)])
    np.testing.assert_allclose(leverage_scores(near), by_qr(near), rtol=1e-4)


@pytest.mark.parametrize("unit", [1.0, 1e-18])
def test_count_the_rank_where_columns_depend_on_each_other_in_any_units(X, unit):
    dependent = np.column_stack([X, X[:, 0] - 2 * X[:, 3], np.zeros(50), unit * np.arange(50.0)])
    scores = leverage_scores(dependent)
    assert scores.sum() == pytest.approx(7)
    np.testing.assert_allclose(scores, by_qr(np.column_stack([X, np.arange(50.0)])), rtol=1e-9)


def test_of_fewer_rows_than_columns_are_one():
    np.testing.assert_allclose(leverage_scores(np.random.default_rng(0).normal(size=(4, 9))), 1)
    assert leverage_scores(np.zeros((3, 2))).tolist() == [0, 0, 0]


def test_lie_between_zero_and_one_and_a_row_alone_in_its_column_has_one(X):
    X = np.column_stack([X, np.eye(50)[7]])
    scores = leverage_scores(X)
    assert scores[7] == pytest.approx(1)
    assert scores.max() <= 1
    assert scores.min() >= 0


def test_take_single_precision_and_integers_and_leave_them(X):
    single = X.astype(np.float32)
    before = single.copy()
    np.testing.assert_array_equal(leverage_scores(single), leverage_scores(single.astype(np.float64)))
    assert np.array_equal(single, before)
    np.testing.assert_allclose(leverage_scores(np.array([[1], [2], [0]])), [0.2, 0.8, 0])
