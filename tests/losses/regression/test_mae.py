import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.mae import mae

GAPS = torch.tensor([-7.0, -2.0, -0.3, 0.0, 0.2, 1.5, 40.0], dtype=torch.float64)


def value(gaps=GAPS, **params):
    """Return the loss of predictions that are too high by the gaps."""
    return mae(gaps[:, None] + 3, torch.full((len(gaps), 1), 3.0, dtype=torch.float64), **params)[:, 0]


def test_is_the_size_of_the_gap():
    assert_close(value(), torch.tensor([7.0, 2.0, 0.3, 0.0, 0.2, 1.5, 40.0], dtype=torch.float64))


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_the_best_constant_is_the_median(share):
    y = torch.tensor([0.0, 1.0, 2.0, 3.0, 50.0])[:, None]
    at_median = mae(torch.full((5, 1), 2.0), y).sum()
    for other in (2 - share, 2 + share):
        assert mae(torch.full((5, 1), other), y).sum() > at_median
