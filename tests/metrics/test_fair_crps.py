import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.metrics.fair_crps import fair_crps
from sklearnloss.registry import lookup

Y = [0.13, -0.13, 0.64, 0.1]
X = [
    [-0.54, 0.36, 1.3, 0.95, -0.7],
    [-1.27, -0.62, 0.04, -2.33, -0.22],
    [-1.25, -0.73, -0.54, -0.32, 0.41],
    [1.04, -0.13, 1.37, -0.67, 0.35],
]


def test_the_worked_number():
    assert fair_crps([1.0], [[0.0, 1.0, 3.0]]) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("z", [10.0, 100.0, -5.0])
def test_one_member_may_be_anywhere_if_the_others_are_right(z):
    assert fair_crps([1.0], [[1.0, 1.0, z]]) == pytest.approx(0, abs=1e-12)


def test_agrees_with_scoringrules():
    # scoringrules 0.10: crps_ensemble(y, x, estimator="fair")
    found = [fair_crps([y], [x]) for y, x in zip(Y, X, strict=True)]
    np.testing.assert_allclose(found, [0.195, 0.239, 0.753, 0.167], rtol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(seed):
    rng = np.random.default_rng(seed)
    y, x = rng.normal(), rng.normal(size=6)
    apart = np.mean([abs(a - b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    assert fair_crps([y], [x]) == pytest.approx(np.abs(x - y).mean() - apart / 2)


@pytest.mark.parametrize("m", [2, 3, 10])
def test_its_mean_does_not_depend_on_the_number_of_members(m):
    # members and outcome standard normal: E|x - y| - E|x - x'| / 2 = 1 / sqrt(pi)
    rng = np.random.default_rng(m)
    found = fair_crps(rng.normal(size=200_000), rng.normal(size=(200_000, m)))
    assert found == pytest.approx(np.pi**-0.5, abs=0.01)  # five standard errors or more


def test_weights_count_like_repetitions():
    w = [1, 0, 2, 3]
    assert fair_crps(Y, X, w) == pytest.approx(fair_crps(np.repeat(Y, w), np.repeat(X, w, axis=0)))


def test_less_is_better():
    assert not lookup("metric", "fair_crps").greater_is_better


def test_one_member_is_refused():
    with pytest.raises(DataError, match="fair_crps needs at least two members, got 1; crps takes one"):
        fair_crps([0.0], [[1.0]])
