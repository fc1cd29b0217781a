import numpy as np
import pytest
import torch
from sklearn.metrics import mean_tweedie_deviance
from torch.testing import assert_close

from sklearnloss.losses.regression.poisson import poisson
from sklearnloss.losses.regression.tweedie import tweedie

Z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).clamp(min=0)


@pytest.mark.parametrize("power", [1.1, 1.5, 1.9])
def test_is_half_the_deviance_of_scikit_learn(power):
    wanted = mean_tweedie_deviance(Y.flatten().numpy(), Z.exp().flatten().numpy(), power=power) / 2
    np.testing.assert_allclose(tweedie(Z, Y, power=power).mean().item(), wanted, rtol=1e-10)


def test_tends_to_poisson():
    assert_close(tweedie(Z, Y, power=1 + 1e-7), poisson(Z, Y), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("power", [1.0001, 1.5, 1.9999])
def test_keeps_its_digits_near_the_limits_of_the_power(power):
    y = Y.clamp(min=0.1)
    assert_close(tweedie(Z.float(), y.float(), power=power), tweedie(Z, y, power=power).float(), rtol=1e-5, atol=1e-6)


def test_is_zero_at_the_target():
    y = torch.tensor([[0.5], [3.0]], dtype=torch.float64)
    assert tweedie(y.log(), y).abs().max() < 1e-12


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda z: tweedie(z, Y), Z.clone().requires_grad_())
