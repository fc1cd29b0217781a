import numpy as np
import pytest

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.crossing_rate import crossing_rate
from sklearnloss.registry import lookup

ROWS = [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0]]


def test_pairs_and_rows_counted_by_hand():
    # 0, 1, 2 and 0 of two pairs each
    assert crossing_rate(np.zeros(4), ROWS) == 3 / 8
    assert crossing_rate(np.zeros(4), ROWS, per="row") == 2 / 4


def test_sorted_quantiles_never_cross():
    assert crossing_rate(np.zeros(4), np.sort(ROWS, axis=1)) == 0


def test_weights_count_like_repetitions():
    assert crossing_rate(np.zeros(4), ROWS, [0, 2, 1, 0]) == pytest.approx((2 * 1 + 2) / 6)


def test_a_forecast_of_several_targets_counts_each():
    assert crossing_rate(np.zeros((2, 2)), np.reshape(ROWS, (2, 2, 3))) == 3 / 8


def test_less_is_better():
    assert not lookup("metric", "crossing_rate").greater_is_better


def test_one_level_and_unknown_words_are_refused():
    with pytest.raises(DataError, match="give at least two levels"):
        crossing_rate([0.0], [[1.0]])
    with pytest.raises(ParameterError, match="per must be one of 'pair', 'row', got 'level'"):
        crossing_rate([0.0], [[1.0, 2.0]], per="level")
