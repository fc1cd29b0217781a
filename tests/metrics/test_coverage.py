import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.metrics.coverage import coverage
from sklearnloss.metrics.width import width

Y, ENDS = [0.0, 1.0, 3.0, -1.0], [[0.0, 2.0], [1.5, 2.5], [1.0, 3.0], [0.0, 1.0]]


def test_ends_are_inside():
    assert coverage(Y, ENDS) == 0.5
    assert coverage([0.0], [[0.0, 0.0]]) == 1.0


def test_width_is_the_mean_of_distances():
    assert width(Y, ENDS) == 1.5


def test_weights_count_like_repetitions_and_targets_are_averaged():
    for metric in (coverage, width):
        expected = metric(np.repeat(Y, [1, 0, 2, 3]), np.repeat(ENDS, [1, 0, 2, 3], axis=0))
        assert metric(Y, ENDS, [1, 0, 2, 3]) == pytest.approx(expected)
        assert metric(np.reshape(Y, (2, 2)), np.reshape(ENDS, (2, 2, 2))) == pytest.approx(metric(Y, ENDS))


@pytest.mark.parametrize("metric", [coverage, width])
def test_ends_in_the_wrong_order_are_refused(metric):
    with pytest.raises(DataError, match="lower end above its upper end, first in row 0"):
        metric([0.0], [[1.0, 0.0]])
