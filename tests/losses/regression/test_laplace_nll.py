import numpy as np
import torch
from scipy import stats

from sklearnloss.losses.regression.laplace_nll import laplace_nll

COLUMNS = torch.randn(6, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_is_that_of_scipy():
    mu, raw = COLUMNS.numpy()[..., 0], COLUMNS.numpy()[..., 1]
    wanted = -stats.laplace.logpdf(Y.numpy(), mu, 0.1 + np.log1p(np.exp(raw)))
    np.testing.assert_allclose(laplace_nll(COLUMNS, Y, min_scale=0.1).numpy(), wanted, rtol=1e-12)


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda c: laplace_nll(c, Y), COLUMNS.clone().requires_grad_())
