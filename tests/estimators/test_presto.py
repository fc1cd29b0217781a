import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss.estimators.presto import PrestoClassifier
from sklearnloss.exceptions import DataError
from sklearnloss.functional.cumulative import (
    _value_and_gradient,
    class_probabilities,
    fit_cumulative,
    null_intercepts,
    penalty_start,
)


def ordered(n=400, seed=0, shift=(0.0, 0.0)):
    """Return rows of three classes whose second border differs from the first by ``shift``."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    beta = np.array([[1.0, -0.5], np.array([1.0, -0.5]) + shift])
    proba = class_probabilities(X, np.array([0.0, 1.5]), beta)
    return X, (rng.random(n)[:, None] > np.cumsum(proba, axis=1)).sum(axis=1).clip(max=2)


def standardized(X):
    return (X - X.mean(0)) / X.std(0)


# -- the objective ----------------------------------------------------------------------------------------------------


def test_probabilities_sum_to_one_even_where_borders_cross():
    proba = class_probabilities(np.array([[5.0], [-5.0]]), np.array([0.0, 0.0]), np.array([[1.0], [-1.0]]))
    np.testing.assert_allclose(proba.sum(1), 1)
    assert (proba >= 0).all()


@pytest.mark.parametrize("crossed", [False, True])
def test_the_gradient_is_that_of_the_value(crossed):
    X, codes = ordered(40)
    rng = np.random.default_rng(1)
    weight, place = rng.random(40), np.hstack([np.array([[-0.5], [0.7]]), 0.1 * rng.normal(size=(2, 2))])
    if crossed:
        place[1, 1:] = 3.0

    def value(flat):
        block = flat.reshape(2, 3)
        return _value_and_gradient(X, codes, weight, block[:, 0], block[:, 1:])

    _, by_intercepts, by_steps = value(place.ravel())
    found = np.hstack([by_intercepts[:, None], by_steps]).ravel()
    for j in range(6):
        step = np.zeros(6)
        step[j] = 1e-6
        slope = (value(place.ravel() + step)[0] - value(place.ravel() - step)[0]) / 2e-6
        assert slope == pytest.approx(found[j], rel=1e-4, abs=1e-4 * np.abs(found).max())


def test_reaches_the_optimum_that_a_general_solver_finds():
    X, codes = ordered()
    X, weight, lam = standardized(X), np.ones(400), 0.01

    def objective(flat):  # each step as a difference of two numbers that are not negative
        a, plus, minus = flat[:2], flat[2:6].reshape(2, 2), flat[6:].reshape(2, 2)
        value = _value_and_gradient(X, codes, weight, a, plus - minus)[0]
        return value + lam * (plus + minus).sum()

    start = np.concatenate([null_intercepts(codes, weight, 3), np.full(8, 0.01)])
    bounds = [(None, None)] * 2 + [(0, None)] * 8
    best = minimize(objective, start, bounds=bounds, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-13})
    fit = fit_cumulative(X, codes, weight, 3, lam=lam)
    assert fit.converged
    own = _value_and_gradient(X, codes, weight, fit.intercepts, fit.steps)[0] + lam * np.abs(fit.steps).sum()
    assert own <= best.fun + 1e-6


def test_two_classes_are_logistic_regression_with_an_l1_penalty():
    X, codes = ordered()
    X, y, lam = standardized(X), (codes > 0).astype(int), 0.02
    fit = fit_cumulative(X, y, np.ones(400), 2, lam=lam)
    other = LogisticRegression(C=1 / (lam * 400), l1_ratio=1.0, solver="saga", tol=1e-9, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(-fit.steps, other.coef_, atol=1e-4)  # the chance of lying below
    np.testing.assert_allclose(-fit.intercepts, other.intercept_, atol=1e-4)


def test_a_large_penalty_leaves_proportional_odds_where_the_first_is_free():
    X, codes = ordered(shift=(0.6, 0.0))
    X = standardized(X)
    fit = fit_cumulative(X, codes, np.ones(400), 3, lam=1e3, penalize_first=False)
    assert (fit.steps[1:] == 0).all()

    def negative_log_likelihood(flat):
        below = expit(X @ np.tile(flat[2:], (2, 1)).T + flat[:2])
        proba = np.diff(np.hstack([np.zeros((400, 1)), below, np.ones((400, 1))]), axis=1)
        return -np.log(np.maximum(proba[np.arange(400), codes], 1e-12)).mean()

    best = minimize(negative_log_likelihood, np.array([-0.5, 1.0, 0.1, 0.1]), method="BFGS")
    np.testing.assert_allclose(np.concatenate([fit.intercepts, fit.steps[0]]), best.x, atol=1e-3)


def test_a_large_penalty_leaves_no_weights_where_all_are_penalized():
    X, codes = ordered()
    fit = fit_cumulative(standardized(X), codes, np.ones(400), 3, lam=1e3)
    assert (fit.steps == 0).all()
    np.testing.assert_allclose(expit(fit.intercepts), np.cumsum(np.bincount(codes) / 400)[:2], atol=1e-6)


@pytest.mark.parametrize("penalize_first", [True, False])
def test_the_path_begins_where_the_first_step_leaves_zero(penalize_first):
    X, codes = ordered(shift=(0.8, 0.3))
    X, weight = standardized(X), np.ones(400)
    top = penalty_start(X, codes, weight, 3, penalize_first=penalize_first)
    part = slice(None) if penalize_first else slice(1, None)
    counts = [
        int((fit_cumulative(X, codes, weight, 3, lam=f * top, penalize_first=penalize_first).steps[part] != 0).sum())
        for f in (1.02, 0.9)
    ]
    assert counts[0] == 0
    assert counts[1] >= 1


def test_an_integer_weight_is_repetition():
    X, codes = ordered(60)
    weight = np.random.default_rng(0).integers(0, 3, 60)
    rows = np.repeat(np.arange(60), weight)
    one = PrestoClassifier(lam=0.01).fit(X, codes, sample_weight=weight)
    other = PrestoClassifier(lam=0.01).fit(X[rows], codes[rows])
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)


# -- the estimator ----------------------------------------------------------------------------------------------------


def test_the_rare_class_is_told_better_than_by_itself():
    gains = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(2500, 15))
        beta = np.zeros((2, 15))
        beta[0, :4] = -1.0
        beta[1] = beta[0]
        beta[1, 0] -= 0.6
        truth = class_probabilities(X, np.array([0.5, 5.5]), beta)
        y = (rng.random(2500)[:, None] > np.cumsum(truth, axis=1)).sum(axis=1).clip(max=2)
        train = slice(0, 700)
        model = PrestoClassifier(n_lams=8, cv=3, random_state=0).fit(X[train], y[train])
        alone = LogisticRegression(C=1e3, max_iter=500).fit(X[train], y[train] == 2)
        errors = [
            ((p[700:] - truth[700:, 2]) ** 2).mean()
            for p in (model.predict_proba(X)[:, 2], alone.predict_proba(X)[:, 1])
        ]
        gains.append(errors[1] - errors[0])
    assert min(gains) > 0


def test_the_order_of_the_classes_is_that_of_the_user():
    X, codes = ordered()
    plain = PrestoClassifier(lam=0.01).fit(X, codes)
    names = np.array(["low", "middle", "high"])
    named = PrestoClassifier(lam=0.01, class_order=names).fit(X, names[codes])
    assert named.classes_.tolist() == ["high", "low", "middle"]
    np.testing.assert_allclose(named.predict_proba(X), plain.predict_proba(X)[:, [2, 0, 1]])
    assert (named.predict(X) == names[plain.predict(X)]).all()
    column = pd.Series(pd.Categorical(names[codes], categories=names, ordered=True))
    np.testing.assert_allclose(PrestoClassifier(lam=0.01).fit(X, column).predict_proba(X), named.predict_proba(X))


def test_names_without_an_order_are_refused():
    X, codes = ordered(40)
    names = np.array(["low", "middle", "high"])[codes]
    with pytest.raises(DataError, match=r"have no order; give class_order"):
        PrestoClassifier().fit(X, names)
    with pytest.raises(DataError, match="class_order has no 'high'"):
        PrestoClassifier(class_order=["low", "middle"]).fit(X, names)


def test_the_penalty_is_chosen_by_the_brier_score_of_other_folds():
    X, t = load_diabetes(return_X_y=True)
    model = PrestoClassifier(n_lams=6, cv=3, random_state=0).fit(X, np.digitize(t, [150, 250]))
    assert model.lam_ == model.lams_[model.scores_.argmin()]
    assert model.lams_[0] > model.lams_[-1] == pytest.approx(0.01 * model.lams_[0])
    assert model.scores_.min() < model.scores_[0]


def test_one_row_of_a_class_cannot_be_held_out():
    X, codes = ordered(30)
    codes = np.array([0, 1] * 14 + [1, 2])
    with pytest.raises(DataError, match="a class has one row only; give lam"):
        PrestoClassifier().fit(X, codes)


def test_passes_the_checks_of_scikit_learn():
    expected = {"check_classifiers_classes": "names of classes have no order"}
    results = check_estimator(PrestoClassifier(lam=0.01), expected_failed_checks=expected, on_fail=None, on_skip=None)
    assert {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"} == {}
