import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.regression.pinball import pinball
from sklearnloss.losses.regression.wis import SEVEN, wis

COLUMNS = torch.randn(6, 2, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64).sort(-1).values
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_equals_the_interval_scores_in_plain_loops():
    wanted = torch.zeros(6, 2, dtype=torch.float64)
    for i in range(6):
        for j in range(2):
            x, y = COLUMNS[i, j].tolist(), float(Y[i, j])
            total = abs(y - x[3]) / 2
            for k in range(3):
                alpha, low, high = 2 * SEVEN[k], x[k], x[6 - k]
                score = (high - low) + 2 / alpha * max(low - y, 0) + 2 / alpha * max(y - high, 0)
                total += alpha / 2 * score
            wanted[i, j] = total / 3.5
    assert_close(wis(COLUMNS, Y), wanted)


def test_is_twice_the_pinball_loss_even_where_quantiles_cross():
    crossed = COLUMNS.flip(-1)
    assert_close(wis(crossed, Y), 2 * pinball(crossed, Y, levels=SEVEN))


def test_the_median_alone_is_the_absolute_error():
    assert_close(wis(COLUMNS[..., :1], Y, levels=(0.5,)), (COLUMNS[..., 0] - Y).abs())


@pytest.mark.parametrize("levels", [(0.1, 0.9), (0.1, 0.5, 0.8), (0.9, 0.5, 0.1), (0.5, 0.6, 0.7)])
def test_levels_without_their_counterparts_are_refused(levels):
    with pytest.raises(ParameterError, match="levels must be rising levels in"):
        Loss("wis", levels=levels).choose()
