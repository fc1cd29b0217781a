import numpy as np
import pytest
from sklearn.metrics import d2_pinball_score

from sklearnloss.exceptions import DataError
from sklearnloss.metrics.d2_quantiles import d2_quantiles

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
Y = [0.13, -0.13, 0.64, 0.1]
Q = [
    [-0.7, -0.54, 0.36, 0.95, 1.3],
    [-2.33, -1.27, -0.62, -0.22, 0.04],
    [-1.25, -0.73, -0.54, -0.32, 0.41],
    [-0.67, -0.13, 0.35, 1.04, 1.37],
]


@pytest.mark.parametrize("weight", [None, [1.0, 2.5, 0.5, 3.0]])
@pytest.mark.parametrize("level", [0.1, 0.25, 0.5, 0.9])
def test_of_one_level_it_is_that_of_scikit_learn(level, weight):
    q = np.array(Q)[:, 2]
    expected = d2_pinball_score(Y, q, alpha=level, sample_weight=weight)
    assert d2_quantiles(Y, q[:, None], weight, levels=(level,)) == pytest.approx(expected)


def test_quantiles_of_the_outcomes_explain_nothing_and_the_outcomes_all():
    y = np.random.default_rng(0).normal(size=50)
    constant = np.quantile(y, LEVELS, method="averaged_inverted_cdf")
    assert d2_quantiles(y, np.tile(constant, (50, 1)), levels=LEVELS) == pytest.approx(0, abs=1e-12)
    assert d2_quantiles(y, np.tile(y[:, None], 5), levels=LEVELS) == 1


def test_of_several_targets_it_is_the_mean():
    y, q = np.array(Y), np.array(Q)
    both = d2_quantiles(np.stack([y, 10 * y], axis=1), np.stack([q, q], axis=1), levels=LEVELS)
    assert both == pytest.approx((d2_quantiles(y, q, levels=LEVELS) + d2_quantiles(10 * y, q, levels=LEVELS)) / 2)


def test_equal_outcomes_are_refused():
    with pytest.raises(DataError, match="outcomes are all equal"):
        d2_quantiles([1.0, 1.0], [[0.0], [1.0]], levels=(0.5,))
