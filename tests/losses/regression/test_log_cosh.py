import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.log_cosh import log_cosh

GAPS = torch.tensor([-7.0, -2.0, -0.3, 0.0, 0.2, 1.5, 40.0], dtype=torch.float64)


def value(gaps=GAPS, **params):
    """Return the loss of predictions that are too high by the gaps."""
    return log_cosh(gaps[:, None] + 3, torch.full((len(gaps), 1), 3.0, dtype=torch.float64), **params)[:, 0]


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_equals_the_formula(scale):
    assert_close(value(scale=scale), scale**2 * torch.log(torch.cosh(GAPS / scale)))


def test_is_a_parabola_near_and_a_line_far():
    assert_close(value(1e-3 * GAPS), (1e-3 * GAPS).square() / 2, rtol=1e-3, atol=1e-12)
    far = torch.tensor([-1e4, 1e4], dtype=torch.float64)
    assert_close(value(far), far.abs() - torch.log(torch.tensor(2.0, dtype=torch.float64)))


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(value, GAPS.clone().add(0.01).requires_grad_())
