import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.focal_infonce import focal_infonce
from sklearnloss.losses.embedding.multiple_negatives import multiple_negatives


def views(n=6, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, n, d, dtype=torch.float64, generator=generator)


def naive(a, b, gamma, tau):
    values = []
    for i in range(len(a)):
        row = [math.exp(float(torch.cosine_similarity(a[i], b[j], dim=0)) / tau) for j in range(len(b))]
        p = row[i] / sum(row)
        values.append(-((1 - p) ** gamma) * math.log(p))
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(("gamma", "tau"), [(0.0, 0.1), (0.5, 0.1), (2.0, 1.0)])
def test_equals_the_formula_in_plain_loops(gamma, tau):
    a, b = views()
    assert_close(focal_infonce(a, b, gamma=gamma, tau=tau), naive(a, b, gamma, tau))


@pytest.mark.parametrize(("gamma", "expected"), [(0.0, 1.033698), (0.5, 0.902624), (1.0, 0.809812)])
def test_gives_the_worked_numbers(gamma, expected):
    values = []
    for p in (0.9, 0.5, 0.1):  # an anchor beside one of two opposite rows, at the temperature that gives p, or between
        lead = math.log(p / (1 - p))
        anchor = [math.copysign(1.0, lead), 0.0] if p != 0.5 else [0.0, 1.0]
        a = torch.tensor([anchor, [0.0, 1.0]], dtype=torch.float64)
        b = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
        tau = 2 / abs(lead) if p != 0.5 else 1.0
        values.append(focal_infonce(a, b, gamma=gamma, tau=tau)[0].item())
    assert sum(values) / 3 == pytest.approx(expected, abs=1e-6)


def test_without_gamma_it_is_infonce():
    a, b = views()
    assert_close(focal_infonce(a, b, gamma=0.0, tau=0.05), multiple_negatives(a, b, scale=20.0))


def test_the_gradient_is_that_of_infonce_times_the_weight():
    a, b = views()
    a.requires_grad_()
    plain = multiple_negatives(a, b, scale=2.0)
    for i, value in enumerate(focal_infonce(a, b, gamma=1.5, tau=0.5)):
        weight = (1 - torch.exp(-plain[i].detach())) ** 1.5
        wanted = weight * torch.autograd.grad(plain[i], a, retain_graph=True)[0]
        assert_close(torch.autograd.grad(value, a, retain_graph=True)[0], wanted)


def test_a_sure_row_weighs_nothing():
    values = focal_infonce(torch.eye(3), torch.eye(3), gamma=1.0, tau=0.02)
    assert (values < 1e-20).all()


def test_more_negatives_never_lower_the_loss():
    a, b = views(n=8)
    few, many = focal_infonce(a[:4], b[:4]), focal_infonce(a, b)[:4]
    assert (many >= few).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_one_pair_has_nothing_to_lose(gamma):
    a, b = views(n=1)
    a.requires_grad_()
    value = focal_infonce(a, b, gamma=gamma).sum()
    (gradient,) = torch.autograd.grad(value, a)
    assert value == 0
    assert gradient.abs().max() == 0
