import numpy as np
import torch
from scipy import stats
from torch.testing import assert_close

from sklearnloss.losses.regression.gaussian_nll import gaussian_nll
from sklearnloss.losses.regression.student_t_nll import student_t_nll

COLUMNS = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_is_that_of_scipy():
    mu, scale, df = np.moveaxis(COLUMNS.numpy(), -1, 0)
    soft = [np.log1p(np.exp(raw)) for raw in (scale, df)]
    wanted = -stats.t.logpdf(Y.numpy(), 2 + soft[1], mu, 0.1 + soft[0])
    np.testing.assert_allclose(student_t_nll(COLUMNS, Y, min_scale=0.1).numpy(), wanted, rtol=1e-12)


def test_many_degrees_of_freedom_are_normal():
    many = torch.cat([COLUMNS[..., :2], torch.full((6, 2, 1), 1e7, dtype=torch.float64)], -1)
    assert_close(student_t_nll(many, Y), gaussian_nll(COLUMNS[..., :2], Y), rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda c: student_t_nll(c, Y), COLUMNS.clone().requires_grad_())
