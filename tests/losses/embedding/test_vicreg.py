import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.vicreg import vicreg


def views(n=7, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, n, d, dtype=torch.float64, generator=generator)


def naive(a, b, margin=1.0):
    """Return invariance, variance and covariance by loops."""
    n, d = a.shape
    invariance = sum((a[i, j] - b[i, j]) ** 2 for i in range(n) for j in range(d)) / (n * d)
    variance = covariance = 0.0
    for z in (a, b):
        mean = [sum(z[i, j] for i in range(n)) / n for j in range(d)]
        for j in range(d):
            for k in range(d):
                c = sum((z[i, j] - mean[j]) * (z[i, k] - mean[k]) for i in range(n)) / (n - 1)
                if j == k:
                    variance += max(0.0, margin - math.sqrt(c + 1e-4)) / d
                else:
                    covariance += float(c) ** 2 / d
    return float(invariance), float(variance), float(covariance)


@pytest.mark.parametrize("margin", [1.0, 2.0])
def test_equals_the_formula_in_plain_loops(margin):
    a, b = views()
    parts = naive(a, b, margin)
    expected = 25 * parts[0] + 25 * parts[1] + parts[2]
    assert vicreg(a, b, margin=margin).item() == pytest.approx(expected)


@pytest.mark.parametrize(("weights", "part"), [((1.0, 0.0, 0.0), 0), ((0.0, 1.0, 0.0), 1), ((0.0, 0.0, 1.0), 2)])
def test_a_weight_leaves_its_term_alone(weights, part):
    a, b = views(seed=1)
    names = ("invariance_weight", "variance_weight", "covariance_weight")
    value = vicreg(a, b, margin=2.0, **dict(zip(names, weights, strict=True)))
    assert value.item() == pytest.approx(naive(a, b, 2.0)[part])


def test_equal_embeddings_cost_the_missing_spread_of_both_views():
    ones = torch.ones(5, 3, dtype=torch.float64)
    assert vicreg(ones, ones).item() == pytest.approx(2 * 25 * 0.99)


def test_is_zero_for_equal_views_of_wide_uncorrelated_columns():
    view = 2 * torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    assert vicreg(view, view) == 0


def test_views_may_change_places_and_both_may_be_shifted():
    a, b = views()
    assert_close(vicreg(a, b), vicreg(b, a))
    assert_close(vicreg(a + 3.0, b + 3.0), vicreg(a, b))


def test_gradients_agree_with_differences():
    a, b = views()
    assert torch.autograd.gradcheck(vicreg, (a.requires_grad_(), b.requires_grad_()))


def test_one_row_and_constant_columns_have_a_finite_gradient():
    for n in (1, 4):
        leaf = torch.zeros(n, 3, requires_grad=True)
        (gradient,) = torch.autograd.grad(vicreg(leaf, leaf), leaf)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_descent_pulls_views_together_without_collapse(seed):
    leaf = 0.1 * views(n=32, seed=seed)
    leaf.requires_grad_()
    optimizer = torch.optim.Adam([leaf], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        vicreg(*leaf).backward()
        optimizer.step()
    a, b = leaf.detach()
    assert (a - b).square().mean() < 0.01
    assert (a.std(0) > 0.9).all()
