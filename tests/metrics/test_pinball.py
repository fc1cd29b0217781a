import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.pinball import pinball
from sklearnloss.metrics.wis import wis
from sklearnloss.registry import lookup

LEVELS = (0.1, 0.25, 0.9)


def made(seed, n=30):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), rng.normal(size=(n, len(LEVELS))), rng.uniform(size=n)


@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_mean_over_levels_of_scikit_learns(seed):
    y, q, weight = made(seed)
    expected = np.mean([mean_pinball_loss(y, q[:, j], alpha=a, sample_weight=weight) for j, a in enumerate(LEVELS)])
    assert pinball(y, q, weight, levels=LEVELS) == pytest.approx(expected, rel=1e-12)


def test_is_half_the_weighted_interval_score():
    y, q, _ = made(0)
    assert 2 * pinball(y, q, levels=(0.2, 0.5, 0.8)) == pytest.approx(wis(y, q, levels=(0.2, 0.5, 0.8)))


def test_of_the_median_it_is_half_the_absolute_error():
    assert pinball([3.0, -1.0], [[1.0], [1.0]], levels=(0.5,)) == 1.0


def test_less_is_better_and_it_has_the_name_that_forecasters_use():
    component = lookup("metric", "quantile_score")
    assert (component.name, component.greater_is_better) == ("pinball", False)


def test_levels_rise_and_fit():
    with pytest.raises(ParameterError, match="must be a rising sequence"):
        pinball([1.0], [[0.0, 0.0]], levels=(0.3, 0.1))
    with pytest.raises(DataError, match="quantiles must have a column for each of the 9 levels"):
        pinball([1.0], [[0.0, 0.0]])
