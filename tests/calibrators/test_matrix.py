import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from sklearnloss.calibrators.matrix import MatrixScaling, _objective
from sklearnloss.calibrators.temperature import TemperatureScaling
from sklearnloss.calibrators.vector import VectorScaling


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_the_gradient_is_that_of_the_value(l2):
    rng = np.random.default_rng(0)
    z, y, weights = rng.normal(size=(9, 3)), rng.integers(0, 3, 9), rng.dirichlet(np.ones(9))
    more = (z, y, weights, l2)
    error = check_grad(lambda x: _objective(x, *more)[0], lambda x: _objective(x, *more)[1], rng.normal(size=12))
    assert error < 1e-6


def test_the_penalty_is_that_of_a_plain_loop_and_spares_the_diagonal():
    rng = np.random.default_rng(0)
    z, y, weights, theta = rng.normal(size=(9, 3)), rng.integers(0, 3, 9), np.full(9, 1 / 9), rng.normal(size=12)
    matrix, bias = theta[:9].reshape(3, 3), theta[9:]
    off = sum(matrix[i, j] ** 2 for i in range(3) for j in range(3) if i != j) / 6
    expected = 0.7 * (off + sum(b**2 for b in bias) / 3)
    assert _objective(theta, z, y, weights, 0.7)[0] - _objective(theta, z, y, weights, 0.0)[0] == pytest.approx(
        expected
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_penalty_it_contains_vector_scaling_and_with_it_temperature_scaling(seed, simulate):
    data = simulate(seed=seed)

    def loss_of(model):
        return log_loss(data.y, model.fit(data.mixed, data.y).predict_proba(data.mixed))

    assert loss_of(MatrixScaling(l2=0.0)) < loss_of(VectorScaling())
    assert loss_of(MatrixScaling()) < loss_of(TemperatureScaling())
    assert loss_of(MatrixScaling(l2=10.0)) <= loss_of(TemperatureScaling())


def test_a_large_penalty_leaves_a_diagonal_without_biases(simulate):
    data = simulate()
    model = MatrixScaling(l2=1e6).fit(data.mixed, data.y)
    np.testing.assert_allclose(model.coef_ - np.diag(np.diag(model.coef_)), 0, atol=1e-5)
    np.testing.assert_allclose(model.intercept_, 0, atol=1e-5)
    assert np.ptp(np.diag(model.coef_)) > 0.01


def test_without_penalty_it_is_a_logistic_regression_of_the_centred_scores(simulate):
    data = simulate()
    z = data.mixed - data.mixed.mean(axis=1, keepdims=True)
    expected = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(z, data.y).predict_proba(z)
    p = MatrixScaling(l2=0.0).fit(data.mixed, data.y).predict_proba(data.mixed)
    np.testing.assert_allclose(p, expected, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_classes_taken_for_each_other_are_put_right(seed, simulate):
    data = simulate(seed=seed, n=2000)
    swapped = data.scores[:, [1, 0, 2, 3]]  # the columns of the first two classes changed places
    matrix, vector = (m.fit(swapped, data.y).score(swapped, data.y) for m in (MatrixScaling(), VectorScaling()))
    assert matrix > vector
    assert matrix > (data.scores.argmax(axis=1) == data.y).mean() - 0.02
