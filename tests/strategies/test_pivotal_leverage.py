import numpy as np
import pytest
from scipy import sparse
from sklearn.preprocessing import PolynomialFeatures

from sklearnloss.functional.leverage import leverage_scores
from sklearnloss.functional.pivotal import inclusion_probabilities
from sklearnloss.strategies.pivotal_leverage import pivotal_leverage


@pytest.fixture
def table():
    rows = np.random.default_rng(0).uniform(-1, 1, size=(60, 2))
    return PolynomialFeatures(2).fit_transform(rows), rows


@pytest.mark.parametrize("tree", ["coordinate", "pca", "random"])
def test_rows_are_drawn_with_their_leverage_and_weighted_by_its_inverse(table, tree):
    columns, rows = table
    p = inclusion_probabilities(leverage_scores(columns), 12)
    counts, totals, rng = np.zeros(60), [], np.random.default_rng(0)
    for _ in range(300):
        found, weights = pivotal_leverage(columns, X_pool=rows, n=12, rng=rng, tree=tree)
        assert len(found) == 12
        np.testing.assert_allclose(weights, 1 / p[found])
        counts[found] += 1
        totals.append(weights @ columns[found])
    error = np.abs(counts / 300 - p)
    assert (error <= 4.5 * np.sqrt(p * (1 - p) / 300)).all()
    bias = np.mean(totals, axis=0) - columns.sum(axis=0)
    assert (np.abs(bias) < 4 * np.std(totals, axis=0) / np.sqrt(300) + 1e-9).all()


def test_weights_are_left_out_on_request(table):
    columns, rows = table
    plain = pivotal_leverage(columns, X_pool=rows, n=12, rng=np.random.default_rng(0), weights=False)
    found, _ = pivotal_leverage(columns, X_pool=rows, n=12, rng=np.random.default_rng(0))
    assert plain.tolist() == found.tolist()


@pytest.mark.parametrize("other", [None, "sparse", "words"])
def test_rows_that_are_no_table_of_numbers_lie_where_their_columns_do(table, other):
    columns, rows = table
    forms = {None: None, "sparse": sparse.csr_array(rows), "words": rows.astype(str)}
    found, _ = pivotal_leverage(columns, X_pool=forms[other], n=12, rng=np.random.default_rng(0))
    expected, _ = pivotal_leverage(columns, X_pool=columns, n=12, rng=np.random.default_rng(0))
    assert found.tolist() == expected.tolist()


def test_a_ridge_levels_the_scores(table):
    columns, rows = table
    _, strict = pivotal_leverage(columns, X_pool=rows, n=12, rng=np.random.default_rng(0))
    _, loose = pivotal_leverage(columns, X_pool=rows, n=12, rng=np.random.default_rng(0), ridge=100.0)
    assert np.ptp(loose) != pytest.approx(np.ptp(strict))


def error_of_fit(columns, f, rows, weights):
    root = np.sqrt(weights)[:, None]
    coef = np.linalg.lstsq(root * columns[rows], root[:, 0] * f[rows], rcond=None)[0]
    return ((columns @ coef - f) ** 2).mean()


@pytest.mark.parametrize("seed", range(3))
def test_a_polynomial_is_fitted_better_than_from_independent_rows_and_these_better_than_from_any(seed):
    axis = np.linspace(-1, 1, 40)
    rows = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    columns, f = PolynomialFeatures(6).fit_transform(rows), np.exp(rows[:, 0]) / (1.2 + rows[:, 0] * rows[:, 1])
    rng, n = np.random.default_rng(seed), 60
    p = inclusion_probabilities(leverage_scores(columns), n)
    errors = {"pivotal": [], "independent": [], "uniform": []}
    for _ in range(40):
        found, weights = pivotal_leverage(columns, X_pool=rows, n=n, rng=rng)
        errors["pivotal"].append(error_of_fit(columns, f, found, weights))
        found = np.flatnonzero(rng.random(len(p)) < p)
        errors["independent"].append(error_of_fit(columns, f, found, 1 / p[found]))
        found = rng.choice(len(p), n, replace=False)
        errors["uniform"].append(error_of_fit(columns, f, found, np.ones(n)))
    pivotal, independent, uniform = (np.median(errors[k]) for k in ("pivotal", "independent", "uniform"))
    assert pivotal < independent < uniform


def test_a_learner_gets_the_rows_with_their_weights(asked):
    found = asked("pivotal_leverage", "diabetes")
    scaled = found.fitted[0].transform(found.pool)
    p = inclusion_probabilities(np.diag(scaled @ np.linalg.pinv(scaled)), 8)
    places = np.searchsorted(found.rest, found.rows)
    np.testing.assert_allclose(found.learner.query_weights_, 1 / p[places], rtol=1e-6)
    found.teach()
