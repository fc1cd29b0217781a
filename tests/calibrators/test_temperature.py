import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from sklearnloss.calibrators.temperature import TemperatureScaling


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("k", [2, 5])
def test_a_known_temperature_is_recovered(k, temperature, seed, simulate):
    data = simulate(n=20_000, k=k, temperature=temperature, seed=seed)
    assert TemperatureScaling().fit(data.scores, data.y).temperature_ == pytest.approx(temperature, rel=0.05)


def test_of_one_pair_of_scores_the_temperature_makes_the_probability_the_frequency():
    # three of four are right at score s: sigmoid(s / T) = 3/4, so T = s / log 3
    model = TemperatureScaling().fit([2.0, 2.0, 2.0, 2.0, -2.0], [1, 1, 1, 0, 0], sample_weight=[1, 1, 1, 1, 1e-9])
    assert model.temperature_ == pytest.approx(2 / np.log(3), rel=1e-6)


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_are_those_of_scikit_learn(k, weighted, simulate, peer):
    data = simulate(k=k)
    weights = data.weights if weighted else None
    scores = data.scores[:, 1] - data.scores[:, 0] if k == 2 else data.scores
    expected = peer("temperature", scores, data.y, weights)(scores)
    p = TemperatureScaling().fit(scores, data.y, weights).predict_proba(scores)
    np.testing.assert_allclose(p, expected, atol=1e-5)
    ours, theirs = (log_loss(data.y, proba, sample_weight=weights) for proba in (p, expected))
    assert ours <= theirs + 1e-12


def test_the_temperature_is_the_best_on_the_fitting_rows(simulate, uncalibrated):
    data = simulate()
    best = minimize_scalar(lambda t: uncalibrated(data.scores / t, data.y), bounds=(0.1, 10), options={"xatol": 1e-9})
    model = TemperatureScaling().fit(data.scores, data.y)
    assert model.temperature_ == pytest.approx(best.x, rel=1e-5)
    assert log_loss(data.y, model.predict_proba(data.scores)) == pytest.approx(best.fun, abs=1e-12)


def test_no_prediction_changes(simulate):
    data = simulate()
    model = TemperatureScaling().fit(data.biased, data.y)
    assert (model.predict(data.biased) == data.biased.argmax(axis=1)).all()


def test_scores_that_say_the_opposite_get_the_highest_temperature_and_keep_their_order():
    model = TemperatureScaling().fit([2.0, 2.0, -2.0, -2.0], [0, 0, 1, 1])
    assert model.temperature_ == pytest.approx(1e5)  # the centred scores are +-1
    np.testing.assert_allclose(model.predict_proba([2.0]), 0.5, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_separable_rows_stop_at_a_gap_of_about_26(scale):
    # gap * exp(-gap) = 1e-10 at 26.3
    model = TemperatureScaling().fit([scale, -scale], [1, 0])
    assert scale / model.temperature_ == pytest.approx(26.295, abs=1e-2)


def test_a_separable_row_of_tiny_gap_stops_at_the_lowest_temperature():
    scores = np.array([1e8, -1e8, 1.0, -1.0])
    model = TemperatureScaling().fit(scores, [1, 0, 1, 0])
    assert model.temperature_ == pytest.approx(np.sqrt((scores**2).mean()) / 2 * 1e-5)
