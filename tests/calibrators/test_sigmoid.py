import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from sklearnloss.calibrators.sigmoid import SigmoidCalibration


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_are_those_of_scikit_learn(k, weighted, simulate, peer):
    data = simulate(k=k)
    weights = data.weights if weighted else None
    scores = data.biased[:, 1] - data.biased[:, 0] if k == 2 else data.biased
    expected = peer("sigmoid", scores, data.y, weights)
    model = SigmoidCalibration().fit(scores, data.y, weights)
    for rows in (scores, 3 * scores, scores - 1):
        np.testing.assert_allclose(model.predict_proba(rows), expected(rows), atol=1e-9)
    assert model.coef_.shape == model.intercept_.shape == ((1,) if k == 2 else (k,))


def test_the_curve_has_the_least_loss_of_platts_targets(simulate):
    data = simulate(k=2)
    s = data.biased[:, 1] - data.biased[:, 0]
    n = np.bincount(data.y)
    target = np.where(data.y == 1, (n[1] + 1) / (n[1] + 2), 1 / (n[0] + 2))

    def value(ab):
        p = expit(ab[0] * s + ab[1])
        return -(target * np.log(p) + (1 - target) * np.log1p(-p)).sum()

    best = minimize(value, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    model = SigmoidCalibration().fit(s, data.y)
    assert [*model.coef_, *model.intercept_] == pytest.approx(best.x, abs=1e-4)


def test_of_several_classes_each_is_set_against_the_rest_and_the_sum_is_one(simulate):
    data = simulate()
    model = SigmoidCalibration().fit(data.biased, data.y)
    alone = [
        SigmoidCalibration().fit(data.biased[:, j], data.y == j).predict_proba(data.biased[:, j]) for j in range(4)
    ]
    q = np.stack([p[:, 1] for p in alone], axis=1)
    np.testing.assert_allclose(model.predict_proba(data.biased), q / q.sum(axis=1, keepdims=True), atol=1e-9)


def test_separable_rows_get_no_more_than_the_smoothed_targets():
    p = SigmoidCalibration().fit([-3.0, -2.0, 2.0, 3.0], [0, 0, 1, 1]).predict_proba([-3.0, 3.0])
    np.testing.assert_allclose(p, [[3 / 4, 1 / 4], [1 / 4, 3 / 4]], atol=0.05)


def test_rows_that_every_curve_calls_impossible_are_equal():
    scores = np.array([[0.0, 9.0, 9.0], [9.0, 0.0, 9.0], [9.0, 9.0, 0.0]] * 50)  # low scores mean the class
    model = SigmoidCalibration().fit(scores, np.arange(150) % 3)
    np.testing.assert_allclose(model.predict_proba(np.full((1, 3), 1e6)), 1 / 3)
