import numpy as np
import pytest
from scipy import stats

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.crps_gaussian import crps_gaussian
from sklearnloss.metrics.crps_quantile import crps_quantile
from sklearnloss.metrics.wis import wis

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
Y = [0.13, -0.13, 0.64, 0.1]
Q = [
    [-0.7, -0.54, 0.36, 0.95, 1.3],
    [-2.33, -1.27, -0.62, -0.22, 0.04],
    [-1.25, -0.73, -0.54, -0.32, 0.41],
    [-0.67, -0.13, 0.35, 1.04, 1.37],
]


def test_agrees_with_scoringrules():
    # scoringrules 0.10: crps_quantile(y, q, levels)
    found = [crps_quantile([y], [q], levels=LEVELS) for y, q in zip(Y, Q, strict=True)]
    np.testing.assert_allclose(found, [0.275, 0.3338, 0.8194, 0.2486], rtol=1e-12)


def test_of_symmetric_levels_it_is_the_weighted_interval_score():
    assert crps_quantile(Y, Q, levels=LEVELS) == wis(Y, Q, levels=LEVELS)


def test_many_levels_of_a_normal_distribution_come_near_its_closed_form():
    levels = (np.arange(2000) + 0.5) / 2000
    mu, sigma = np.array([0.3, -1.0]), np.array([0.5, 2.0])
    q = mu[:, None] + sigma[:, None] * stats.norm.ppf(levels)
    expected = crps_gaussian([0.0, 1.0], np.stack([mu, sigma], axis=1))
    assert crps_quantile([0.0, 1.0], q, levels=levels) == pytest.approx(expected, abs=1e-3)


def test_levels_need_not_be_symmetric_but_rise_and_fit():
    assert crps_quantile([1.0], [[0.0, 0.0]], levels=(0.1, 0.3)) == pytest.approx(0.4)
    with pytest.raises(ParameterError, match="must be a rising sequence"):
        crps_quantile([1.0], [[0.0, 0.0]], levels=(0.3, 0.1))
    with pytest.raises(DataError, match="quantiles must have a column for each of the 9 levels"):
        crps_quantile([1.0], [[0.0, 0.0]])
