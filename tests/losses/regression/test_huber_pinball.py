import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.expectile import expectile
from sklearnloss.losses.regression.huber_pinball import huber_pinball
from sklearnloss.losses.regression.pinball import pinball

COLUMNS = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LEVELS = (0.2, 0.5, 0.9)


def test_equals_the_formula_in_plain_loops():
    wanted = torch.zeros(6, 2, dtype=torch.float64)
    for i in range(6):
        for j in range(2):
            for level, quantile in zip(LEVELS, COLUMNS[i, j].tolist(), strict=True):
                r = float(Y[i, j]) - quantile
                huber = r * r / 2 if abs(r) < 0.3 else 0.3 * (abs(r) - 0.15)
                wanted[i, j] += abs(level - (r < 0)) * huber / 0.3 / 3
    assert_close(huber_pinball(COLUMNS, Y, levels=LEVELS, delta=0.3), wanted)


def test_tends_to_the_pinball_loss():
    assert_close(huber_pinball(COLUMNS, Y, levels=LEVELS, delta=1e-10), pinball(COLUMNS, Y, levels=LEVELS))


def test_a_wide_corner_is_an_expectile():
    one = huber_pinball(COLUMNS[..., :1], Y, levels=(0.2,), delta=1e3)
    assert_close(one, expectile(COLUMNS[..., 0], Y, level=0.2) / 2e3)


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda c: huber_pinball(c, Y, levels=LEVELS), COLUMNS.clone().requires_grad_())
