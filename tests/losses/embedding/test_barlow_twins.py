import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.barlow_twins import barlow_twins


def views(n=9, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, n, d, dtype=torch.float64, generator=generator)


def naive(a, b, weight):
    d = a.shape[1]
    correlation = np.corrcoef(a.numpy(), b.numpy(), rowvar=False)[:d, d:]
    value = 0.0
    for j in range(d):
        for k in range(d):
            value += (1 - correlation[j, k]) ** 2 if j == k else weight * correlation[j, k] ** 2
    return value


@pytest.mark.parametrize("weight", [0.0, 0.005, 1.0])
def test_is_the_formula_of_the_correlations_that_numpy_computes(weight):
    a, b = views()
    assert barlow_twins(a, b, weight=weight).item() == pytest.approx(naive(a, b, weight))


def test_equal_views_cost_their_own_correlations_only():
    a, _ = views()
    assert barlow_twins(a, a, weight=0.0).item() == pytest.approx(0, abs=1e-20)
    assert barlow_twins(a, a, weight=1.0) > 0


def test_opposite_views_cost_four_a_column():
    a, _ = views()
    assert barlow_twins(a, -a, weight=0.0).item() == pytest.approx(16)


def test_constant_columns_are_correlated_with_nothing():
    constant, other = torch.ones(6, 3), torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    leaf = constant.clone().requires_grad_()
    value = barlow_twins(leaf, other)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert_close(value.detach(), torch.tensor(3.0))
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() < 1e4


def test_does_not_see_shift_and_scale_of_columns():
    a, b = views()
    scale = torch.logspace(-1, 2, 4, dtype=torch.float64)
    assert_close(barlow_twins(a * scale + 7, b), barlow_twins(a, b))


def test_views_may_change_places():
    a, b = views()
    assert_close(barlow_twins(a, b), barlow_twins(b, a))


def test_gradients_agree_with_differences():
    a, b = views()
    assert torch.autograd.gradcheck(barlow_twins, (a.requires_grad_(), b.requires_grad_()))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_large_weight_leaves_columns_less_redundant(seed):
    correlations = []
    for weight in (0.0, 1.0):
        leaf = views(n=32, seed=seed)
        leaf[:, :, 1:] = leaf[:, :, :1] + 0.3 * leaf[:, :, 1:]
        leaf.requires_grad_()
        optimizer = torch.optim.Adam([leaf], lr=0.02)
        for _ in range(100):
            optimizer.zero_grad()
            barlow_twins(*leaf, weight=weight).backward()
            optimizer.step()
        table = np.corrcoef(leaf.detach()[0].numpy(), rowvar=False)
        correlations.append(np.abs(table - np.eye(4)).mean())
    assert correlations[1] < correlations[0] / 2
