import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.huber import huber

GAPS = torch.tensor([-7.0, -2.0, -0.3, 0.0, 0.2, 1.5, 40.0], dtype=torch.float64)


def value(gaps=GAPS, **params):
    """Return the loss of predictions that are too high by the gaps."""
    return huber(gaps[:, None] + 3, torch.full((len(gaps), 1), 3.0, dtype=torch.float64), **params)[:, 0]


@pytest.mark.parametrize("delta", [0.25, 1.0, 1.345])
def test_is_that_of_torch(delta):
    wanted = torch.nn.functional.huber_loss(GAPS, torch.zeros_like(GAPS), reduction="none", delta=delta)
    assert_close(value(delta=delta), wanted)


def test_is_half_the_squared_error_for_a_large_delta_and_the_absolute_one_for_a_small():
    assert_close(value(delta=1e6), GAPS.square() / 2)
    assert_close(value(delta=1e-9) / 1e-9, GAPS.abs())


def test_no_row_pulls_harder_than_delta():
    gaps = GAPS.clone().requires_grad_()
    value(gaps, delta=0.7).sum().backward()
    assert gaps.grad.abs().max() == pytest.approx(0.7)
    assert gaps.grad[3] == 0
