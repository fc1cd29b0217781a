"""What every calibrator of scores promises."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import check_grad
from scipy.special import expit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from sklearnloss import Calibrator
from sklearnloss.calibrators._scores import minimize_nll, nll
from sklearnloss.exceptions import ParameterError

LINEAR = ["temperature", "vector", "matrix"]


@pytest.fixture(params=LINEAR)
def model(request):
    return Calibrator(request.param).choose().build()


@pytest.fixture(params=[*LINEAR, "sigmoid", "isotonic"])
def any_model(request):
    return Calibrator(request.param).choose().build()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", ["scores", "biased", "mixed"])
def test_the_fitting_rows_are_never_fitted_worse_than_by_the_scores_themselves(
    any_model, kind, seed, simulate, uncalibrated
):
    data = simulate(seed=seed)
    scores = getattr(data, kind)
    for weights in (None, data.weights):
        fitted = any_model.fit(scores, data.y, weights)
        after = log_loss(data.y, fitted.predict_proba(scores), sample_weight=weights)
        assert after <= uncalibrated(scores, data.y, weights) - 0.01


@pytest.mark.parametrize("k", [2, 4])
def test_the_public_attributes_are_plain_and_are_the_whole_state(any_model, k, simulate):
    data = simulate(k=k)
    any_model.fit(data.biased, data.y)
    state = {name: value for name, value in vars(any_model).items() if name.endswith("_")}
    assert {"classes_", "n_features_in_"} < state.keys()
    assert state.keys() | any_model.get_params().keys() == vars(any_model).keys()
    arrays = [v for v in state.values() if isinstance(v, np.ndarray)]
    assert all(v.dtype.kind in "if" for v in arrays)
    assert all(isinstance(v, int | float) for v in state.values() if not isinstance(v, np.ndarray))
    twin = clone(any_model)
    for name, value in state.items():
        setattr(twin, name, value if isinstance(value, int | float) else np.array(value.tolist()))
    np.testing.assert_array_equal(twin.predict_proba(data.biased), any_model.predict_proba(data.biased))


def test_scores_that_are_right_already_are_hardly_changed(model, simulate):
    data = simulate(n=20_000, temperature=1.0)
    truth = np.exp(data.scores) / np.exp(data.scores).sum(axis=1, keepdims=True)
    assert abs(model.fit(data.scores, data.y).predict_proba(data.scores) - truth).mean() < 0.01


def test_probabilities_sum_to_one_and_the_four_ways_to_predict_agree(model, simulate):
    data = simulate()
    model.fit(data.biased, data.y)
    p, logits = model.predict_proba(data.biased), model.decision_function(data.biased)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(data.biased)), p)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), p)
    assert (model.predict(data.biased) == model.classes_[p.argmax(axis=1)]).all()


def test_a_constant_added_to_a_row_changes_nothing(model, simulate):
    data = simulate()
    shifted = data.biased + np.random.default_rng(1).normal(size=(600, 1)) * 10
    expected = model.fit(data.biased, data.y).predict_proba(data.biased)
    np.testing.assert_allclose(model.fit(shifted, data.y).predict_proba(shifted), expected, atol=1e-5)


def test_the_scale_of_the_scores_does_not_matter(model, simulate):
    data = simulate()
    expected = model.fit(data.biased, data.y).predict_proba(data.biased)
    for factor in (1e-4, 1e4):
        scaled = factor * data.biased
        np.testing.assert_allclose(model.fit(scaled, data.y).predict_proba(scaled), expected, atol=1e-5)


def test_one_column_is_the_log_odds_of_the_second_class(any_model, simulate):
    data = simulate(k=2)
    s = data.biased[:, 1] - data.biased[:, 0]
    both = np.stack([np.zeros_like(s), s], axis=1)
    expected = any_model.fit(both, data.y).predict_proba(both)
    for column in (s, s[:, None], s.tolist(), pd.Series(s)):
        p = any_model.fit(column, data.y).predict_proba(column)
        np.testing.assert_allclose(p, expected, atol=1e-12)
        if hasattr(any_model, "decision_function"):
            np.testing.assert_allclose(expit(any_model.decision_function(column)), p[:, 1])
    assert any_model.n_features_in_ == 1


def test_a_weight_is_the_row_repeated_and_weight_zero_is_no_row(any_model, simulate):
    data = simulate()
    weights = np.where(np.arange(600) % 5, data.weights, 0)
    weighted = any_model.fit(data.biased, data.y, weights).predict_proba(data.biased)
    repeated = any_model.fit(data.biased.repeat(weights, axis=0), data.y.repeat(weights)).predict_proba(data.biased)
    np.testing.assert_allclose(weighted, repeated, atol=1e-5)


def test_labels_may_be_strings_and_columns_follow_their_order(any_model, simulate):
    data = simulate()
    expected = any_model.fit(data.scores, data.y).predict_proba(data.scores)
    names = np.array(["ant", "bee", "cat", "dog"])
    np.testing.assert_array_equal(any_model.fit(data.scores, names[data.y]).predict_proba(data.scores), expected)
    assert any_model.classes_.tolist() == names.tolist()
    assert (any_model.predict(data.scores) == names[expected.argmax(axis=1)]).all()
    assert any_model.score(data.scores, names[data.y]) > 0.4


def test_it_is_cloned_and_pickled(any_model, simulate):
    data = simulate()
    any_model.fit(data.scores, data.y)
    assert clone(any_model).get_params() == any_model.get_params()
    assert not hasattr(clone(any_model), "classes_")
    twin = pickle.loads(pickle.dumps(any_model))
    np.testing.assert_array_equal(twin.predict_proba(data.scores), any_model.predict_proba(data.scores))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_extreme_scores_give_finite_results(any_model, seed):
    rng = np.random.default_rng(seed)
    scores = rng.choice([-1e4, 0.0, 1e4], size=(200, 3))
    y = np.arange(200) % 3
    any_model.fit(scores, y)
    assert np.isfinite(any_model.predict_proba(scores)).all()
    assert np.isfinite(any_model.predict_log_proba(scores)).all()
    assert log_loss(y, any_model.predict_proba(scores)) < 1.2  # they say nothing of y: near log 3
    assert np.isfinite(any_model.predict_proba(np.full((1, 3), 1e4) * [1, -1, 0])).all()


def test_separable_rows_stay_short_of_certainty(model):
    y = np.arange(60) % 3
    scores = 5.0 * np.eye(3)[y]
    model.fit(scores, y)
    assert (model.predict(scores) == y).all()
    wrong = -model.predict_log_proba(scores)[np.arange(60), (y + 1) % 3]
    assert (wrong > 5).all()
    assert (wrong < 40).all()


def test_scores_that_say_nothing_give_equal_or_observed_frequencies(model):
    y = np.array([0, 0, 1, 2])
    p = model.fit(np.zeros((4, 3)), y).predict_proba(np.zeros((1, 3)))[0]
    name = model.component.name
    expected = [0.5, 0.25, 0.25] if name == "vector" else [1 / 3] * 3
    np.testing.assert_allclose(p, expected, atol=1e-6 if name != "matrix" else 0.2)


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 1.0, 0.0]])
def test_a_class_without_a_row_is_refused(any_model, weights):
    scores = np.eye(4)[:, :4] if weights else np.eye(4)[:3]
    y = [0, 1, 2, 3] if weights else [0, 1, 2]
    with pytest.raises(ValueError, match=r"of 4 classes.* of 3: \[0, 1, 2\]; every class needs a column and a row"):
        any_model.fit(scores, y, weights)


@pytest.mark.parametrize(
    ("X", "y", "weights", "match"),
    [
        ([[0.0, np.nan], [1.0, 0.0]], [0, 1], None, "NaN"),
        ([0.0, np.inf], [0, 1], None, "infinity"),
        ([0.0, 1.0], [0, 1], [-1.0, 1.0], "Negative"),
        ([0.0, 1.0, 2.0], [0, 1], None, "inconsistent"),
        ([0.0, 1.0], [0.5, 1.5], None, "Unknown label type"),
    ],
)
def test_rows_that_cannot_be_fitted_are_refused(any_model, X, y, weights, match):
    with pytest.raises(ValueError, match=match):
        any_model.fit(X, y, weights)


def test_a_model_that_is_not_fitted_or_gets_other_columns_says_so(any_model, simulate):
    data = simulate()
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if (method := getattr(any_model, name, None)) is None:
            continue
        with pytest.raises(NotFittedError):
            method(data.scores)
    with pytest.raises(ValueError, match="expecting 4 features"):
        any_model.fit(data.scores, data.y).predict_proba(data.scores[:, :3])


@pytest.mark.parametrize("name", ["vector", "matrix"])
def test_a_negative_penalty_is_refused_when_the_class_is_built_directly(name, simulate):
    data = simulate()
    cls = Calibrator(name).choose().component.obj
    with pytest.raises(ParameterError, match=r"l2 must be a float in \[0, inf\), got -1"):
        cls(l2=-1).fit(data.scores, data.y)


def test_the_gradient_by_the_logits_is_that_of_the_value():
    rng = np.random.default_rng(0)
    logits, y, weights = rng.normal(size=(7, 3)) * 3, rng.integers(0, 3, 7), rng.dirichlet(np.ones(7))
    error = check_grad(
        lambda x: nll(x.reshape(7, 3), y, weights)[0],
        lambda x: nll(x.reshape(7, 3), y, weights)[1].ravel(),
        logits.ravel(),
    )
    assert error < 1e-6


def test_a_fit_that_runs_out_of_steps_warns():
    def narrow(x):  # a long curved valley
        value = ((x[1:] - x[:-1] ** 2) ** 2).sum() * 1e8 + ((1 - x) ** 2).sum()
        gradient = -2 * (1 - x)
        gradient[1:] += 2e8 * (x[1:] - x[:-1] ** 2)
        gradient[:-1] -= 4e8 * x[:-1] * (x[1:] - x[:-1] ** 2)
        return value, gradient

    with pytest.warns(ConvergenceWarning, match="raise l2"):
        minimize_nll(narrow, np.full(200, -1.0))


def test_scores_of_a_fitted_classifier_are_calibrated_in_three_lines():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 5))
    y = (X[:, 0] + rng.normal(size=900) > 0).astype(int)
    sure = LogisticRegression().fit(X[:300], y[:300])
    sure.coef_ *= 8
    calibrated = Calibrator("temperature").choose().build().fit(sure.decision_function(X[300:600]), y[300:600])
    p = calibrated.predict_proba(sure.decision_function(X[600:]))
    assert log_loss(y[600:], p) < log_loss(y[600:], sure.predict_proba(X[600:])) - 0.1
    peer = CalibratedClassifierCV(FrozenEstimator(sure), method="temperature", cv=3, ensemble=False)
    expected = peer.fit(X[300:600], y[300:600]).predict_proba(X[600:])
    np.testing.assert_allclose(p, expected, atol=1e-5)
