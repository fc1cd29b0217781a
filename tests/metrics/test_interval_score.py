import numpy as np
import pytest

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.interval_score import interval_score
from sklearnloss.metrics.wis import wis
from sklearnloss.registry import lookup

Y = [0.13, -0.13, 0.64, 0.1]
ENDS = [[-0.7, 1.3], [-2.33, 0.04], [-1.25, 0.41], [-0.67, 1.37]]


def test_agrees_with_scoringrules():
    # scoringrules 0.10: interval_score(y, low, high, alpha=0.2)
    found = [interval_score([y], [ends], coverage=0.8) for y, ends in zip(Y, ENDS, strict=True)]
    np.testing.assert_allclose(found, [2.0, 2.37, 3.96, 2.04], rtol=1e-12)


@pytest.mark.parametrize("level", [0.05, 0.1, 0.3])
def test_half_its_miscoverage_makes_it_the_weighted_interval_score_of_one_pair(level):
    expected = wis(Y, ENDS, levels=(level, 1 - level))
    assert level * interval_score(Y, ENDS, coverage=1 - 2 * level) == pytest.approx(expected)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_central_interval_of_the_right_distribution_scores_least(seed):
    y = np.random.default_rng(seed).normal(size=20_000)

    def score(half):
        return interval_score(y, np.tile([-half, half], (len(y), 1)), coverage=0.8)

    assert score(1.2816) < min(score(1.0), score(1.6))


def test_weights_count_like_repetitions_and_targets_are_averaged():
    expected = interval_score(np.repeat(Y, [1, 0, 2, 3]), np.repeat(ENDS, [1, 0, 2, 3], axis=0))
    assert interval_score(Y, ENDS, [1, 0, 2, 3]) == pytest.approx(expected)
    assert interval_score(np.reshape(Y, (2, 2)), np.reshape(ENDS, (2, 2, 2))) == pytest.approx(interval_score(Y, ENDS))


def test_less_is_better():
    assert not lookup("metric", "winkler_score").greater_is_better


@pytest.mark.parametrize("coverage", [0.0, 1.0, 1.5, float("nan")])
def test_coverages_outside_are_refused(coverage):
    with pytest.raises(ParameterError, match=r"coverage must be a float in \(0, 1\), got"):
        interval_score(Y, ENDS, coverage=coverage)


def test_ends_in_the_wrong_order_or_of_another_number_are_refused():
    with pytest.raises(DataError, match=r"lower end above its upper end, first in row 1: \[2.0, 1.0\]"):
        interval_score([0.0, 0.0], [[0.0, 1.0], [2.0, 1.0]])
    with pytest.raises(DataError, match="interval must have two numbers for each of y_true, its ends, got 3"):
        interval_score([0.0], [[0.0, 1.0, 2.0]])
