import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from sklearnloss.calibrators.temperature import TemperatureScaling
from sklearnloss.calibrators.vector import VectorScaling, _objective


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_the_gradient_is_that_of_the_value(l2):
    rng = np.random.default_rng(0)
    z, y, weights = rng.normal(size=(9, 3)), rng.integers(0, 3, 9), rng.dirichlet(np.ones(9))
    more = (z, y, weights, l2, rng.normal(size=6))
    assert check_grad(lambda x: _objective(x, *more)[0], lambda x: _objective(x, *more)[1], rng.normal(size=6)) < 1e-6


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_contains_temperature_scaling(seed, simulate):
    data = simulate(seed=seed)
    for l2 in (0.0, 0.1):
        losses = [
            log_loss(data.y, model.fit(data.biased, data.y).predict_proba(data.biased))
            for model in (VectorScaling(l2=l2), TemperatureScaling())
        ]
        assert losses[0] < losses[1]


def test_a_large_penalty_gives_temperature_scaling(simulate):
    data = simulate()
    expected = TemperatureScaling().fit(data.biased, data.y).predict_proba(data.biased)
    model = VectorScaling(l2=1e8).fit(data.biased, data.y)
    np.testing.assert_allclose(model.predict_proba(data.biased), expected, atol=1e-6)


def test_known_factors_and_biases_are_recovered(simulate):
    data = simulate(n=50_000, temperature=1.0)
    z = data.scores - data.scores.mean(axis=1, keepdims=True)
    rng = np.random.default_rng(5)
    factors, biases = np.array([0.5, 1.0, 1.5, 2.0]), np.array([-1.0, 0.0, 0.0, 1.0])
    y = (z * factors + biases + rng.gumbel(size=z.shape)).argmax(axis=1)
    model = VectorScaling().fit(data.scores, y)
    np.testing.assert_allclose(model.coef_, factors, atol=0.08)
    np.testing.assert_allclose(model.intercept_ - model.intercept_.mean(), biases, atol=0.08)


def test_of_two_classes_it_is_a_logistic_regression_of_the_score(simulate):
    data = simulate(k=2)
    s = data.biased[:, 1] - data.biased[:, 0]
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(s[:, None], data.y)
    expected = peer.predict_proba(s[:, None])
    np.testing.assert_allclose(VectorScaling().fit(s, data.y).predict_proba(s), expected, atol=1e-5)


def test_without_penalty_the_mean_probability_of_a_class_is_its_frequency(simulate):
    data = simulate()
    p = VectorScaling().fit(data.biased, data.y).predict_proba(data.biased)
    np.testing.assert_allclose(p.mean(axis=0), np.bincount(data.y) / 600, atol=1e-6)
