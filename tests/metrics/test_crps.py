import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.metrics.crps import crps
from sklearnloss.registry import lookup

Y = [0.13, -0.13, 0.64, 0.1]
X = [
    [-0.54, 0.36, 1.3, 0.95, -0.7],
    [-1.27, -0.62, 0.04, -2.33, -0.22],
    [-1.25, -0.73, -0.54, -0.32, 0.41],
    [1.04, -0.13, 1.37, -0.67, 0.35],
]


def test_the_worked_number():
    assert crps([1.0], [[0.0, 1.0, 3.0]]) == pytest.approx(0.333333, abs=1e-6)


def test_agrees_with_scoringrules():
    # scoringrules 0.10: crps_ensemble(y, x, estimator="nrg")
    found = [crps([y], [x]) for y, x in zip(Y, X, strict=True)]
    np.testing.assert_allclose(found, [0.3048, 0.3548, 0.8276, 0.272], rtol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_integral_of_the_squared_distance_of_step_functions(seed):
    rng = np.random.default_rng(seed)
    y, x = rng.normal(), rng.normal(size=7)
    steps = np.sort([*x, y])
    height = [((x <= t).mean() - (y <= t)) ** 2 for t in steps[:-1]]
    assert crps([y], [x]) == pytest.approx(np.sum(np.diff(steps) * height))


def test_of_one_member_it_is_the_absolute_error():
    assert crps([1.0, 2.0], [[4.0], [1.0]]) == 2.0


def test_a_perfect_ensemble_of_large_numbers_costs_nothing():
    assert crps([1e15], np.full((1, 50), 1e15)) == 0


def test_weights_targets_and_the_order_of_members():
    w = [1, 0, 2, 3]
    assert crps(Y, X, w) == pytest.approx(crps(np.repeat(Y, w), np.repeat(X, w, axis=0)))
    assert crps(Y, np.array(X)[:, ::-1]) == pytest.approx(crps(Y, X))
    assert crps(np.reshape(Y, (2, 2)), np.reshape(X, (2, 2, 5))) == pytest.approx(crps(Y, X))


def test_less_is_better():
    assert not lookup("metric", "crps").greater_is_better


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"ensemble must have shape \(4, m\): m numbers for each of y_true, got \(4,\)"):
        crps(Y, Y)
