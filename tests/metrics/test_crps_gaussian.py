import numpy as np
import pytest
from scipy import integrate, stats

from sklearnloss.exceptions import DataError
from sklearnloss.metrics.crps_gaussian import crps_gaussian

Y = [0.13, -0.13, 0.64, 0.1]
PARAMETERS = [[-0.54, 0.36], [-1.27, 0.62], [-1.25, 0.73], [1.04, 0.13]]


def test_agrees_with_scoringrules():
    # scoringrules 0.10: crps_normal(y, mu, sigma)
    found = [crps_gaussian([y], [p]) for y, p in zip(Y, PARAMETERS, strict=True)]
    np.testing.assert_allclose(found, [0.47569156, 0.80625119, 1.48035465, 0.86665535], atol=1e-8)


def test_is_the_integral_of_the_squared_distance_of_distribution_functions():
    below = integrate.quad(lambda t: stats.norm.cdf(t, 0.5, 2.0) ** 2, -30, 1.0)[0]
    above = integrate.quad(lambda t: stats.norm.sf(t, 0.5, 2.0) ** 2, 1.0, 30)[0]
    assert crps_gaussian([1.0], [[0.5, 2.0]]) == pytest.approx(below + above)


def test_without_spread_it_is_the_absolute_error_and_hardly_any_spread_comes_near():
    assert crps_gaussian([1.0, 2.0], [[4.0, 0.0], [1.0, 0.0]]) == 2.0
    assert crps_gaussian([1.0], [[4.0, 1e-9]]) == pytest.approx(3.0)


def test_weights_count_like_repetitions_and_targets_are_averaged():
    expected = crps_gaussian(np.repeat(Y, [1, 0, 2, 3]), np.repeat(PARAMETERS, [1, 0, 2, 3], axis=0))
    assert crps_gaussian(Y, PARAMETERS, [1, 0, 2, 3]) == pytest.approx(expected)
    two = crps_gaussian(np.reshape(Y, (2, 2)), np.reshape(PARAMETERS, (2, 2, 2)))
    assert two == pytest.approx(crps_gaussian(Y, PARAMETERS))


def test_negative_deviations_and_other_numbers_of_parameters_are_refused():
    with pytest.raises(DataError, match="standard deviations must not be negative, got -2"):
        crps_gaussian([0.0], [[0.0, -2.0]])
    with pytest.raises(DataError, match="2 numbers for each, got 3"):
        crps_gaussian([0.0], [[0.0, 1.0, 2.0]])
