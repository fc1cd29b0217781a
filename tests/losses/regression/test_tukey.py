import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.tukey import tukey

GAPS = torch.tensor([-7.0, -2.0, -0.3, 0.0, 0.2, 1.5, 40.0], dtype=torch.float64)


def value(gaps=GAPS, **params):
    """Return the loss of predictions that are too high by the gaps."""
    return tukey(gaps[:, None] + 3, torch.full((len(gaps), 1), 3.0, dtype=torch.float64), **params)[:, 0]


def test_equals_the_formula_in_plain_loops():
    wanted = [c2 / 6 * (1 - (1 - g * g / c2) ** 3) if abs(g) < 3 else c2 / 6 for c2 in [9.0] for g in GAPS.tolist()]
    assert_close(value(c=3.0), torch.tensor(wanted, dtype=torch.float64))


def test_is_half_the_squared_error_for_a_large_scale():
    assert_close(value(c=1e5), GAPS.square() / 2, rtol=1e-5, atol=1e-5)


def test_rows_beyond_the_scale_do_not_pull():
    gaps = GAPS.clone().requires_grad_()
    value(gaps).sum().backward()
    assert (gaps.grad[GAPS.abs() > 4.685] == 0).all()
    assert (gaps.grad[GAPS.abs().lt(4.685) & (GAPS != 0)] != 0).all()


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(value, GAPS.clone().requires_grad_())


@pytest.mark.parametrize("c", [0.5, 4.685])
def test_is_never_above_a_sixth_of_the_square_of_c(c):
    assert value(c=c).max() == pytest.approx(c**2 / 6)
