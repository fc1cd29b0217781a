import numpy as np
import pytest
from scipy import stats

from sklearnloss.metrics.pit import pit

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


def test_shares_counted_by_hand():
    # below 0: none of 4, level .25; below 4: three of 4, level .5
    assert pit([1.0, 2.0, 3.0, 9.0], [[0.0, 4.0]] * 4, levels=(0.25, 0.5)) == 0.25


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_true_quantiles_are_near_zero_and_narrow_or_shifted_ones_are_not(seed):
    y = np.random.default_rng(seed).normal(size=4000)
    true = np.tile(stats.norm.ppf(LEVELS), (4000, 1))
    assert pit(y, true, levels=LEVELS) < 0.03
    assert pit(y, true / 2, levels=LEVELS) > 0.1
    assert pit(y, true + 0.5, levels=LEVELS) > 0.1


def test_weights_count_like_repetitions_and_targets_are_averaged():
    rng = np.random.default_rng(0)
    y, q = rng.normal(size=12), np.sort(rng.normal(size=(12, 5)), axis=1)
    weight = rng.integers(0, 4, size=12)
    expected = pit(np.repeat(y, weight), np.repeat(q, weight, axis=0), levels=LEVELS)
    assert pit(y, q, weight, levels=LEVELS) == pytest.approx(expected)
    two = pit(np.stack([y, -y], axis=1), np.stack([q, q], axis=1), levels=LEVELS)
    assert two == pytest.approx((pit(y, q, levels=LEVELS) + pit(-y, q, levels=LEVELS)) / 2)
