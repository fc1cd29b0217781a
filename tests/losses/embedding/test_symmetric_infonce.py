import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.symmetric_infonce import SymmetricInfoNCE


def views(n=6, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, n, d, dtype=torch.float64, generator=generator)


def naive(a, b, tau, smoothing):
    n, values = len(a), []
    s = [[float(torch.cosine_similarity(a[i], b[j], dim=0)) / tau for j in range(n)] for i in range(n)]
    for i in range(n):
        value = 0.0
        for row in (s[i], [s[j][i] for j in range(n)]):
            total = math.log(sum(math.exp(x) for x in row))
            target = [smoothing / n + (1 - smoothing) * (i == j) for j in range(n)]
            value += total - sum(q * x for q, x in zip(target, row, strict=True))
        values.append(value / 2)
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(("tau", "smoothing"), [(1.0, 0.0), (0.07, 0.1), (0.5, 0.9)])
def test_equals_the_formula_in_plain_loops(tau, smoothing):
    a, b = views()
    loss = SymmetricInfoNCE(tau=tau, label_smoothing=smoothing).double()
    assert_close(loss(a, b).detach(), naive(a, b, tau, smoothing), atol=1e-6, rtol=1e-5)  # tau was kept in float32


def test_views_may_change_places():
    a, b = views()
    loss = SymmetricInfoNCE()
    assert_close(loss(a, b), loss(b, a))


def test_one_pair_has_nothing_to_lose():
    a, b = views(n=1)
    assert SymmetricInfoNCE()(a, b).item() == pytest.approx(0, abs=1e-6)


def test_the_temperature_never_passes_its_limit():
    a, b = views()
    loss = SymmetricInfoNCE(tau=0.07, min_tau=0.05, label_smoothing=0.0).double()
    with torch.no_grad():
        loss.log_scale.fill_(10.0)
    loss.eval()
    assert_close(loss(a, b).detach(), naive(a, b, 0.05, 0.0), atol=1e-6, rtol=1e-5)
    assert loss.log_scale.item() == 10.0  # evaluation leaves state alone
    loss.train()
    loss(a, b)
    assert loss.log_scale.exp().item() == pytest.approx(20.0)


def test_a_temperature_at_its_limit_can_come_back():
    a, b = views()  # pairs that do not belong together want a high temperature
    loss = SymmetricInfoNCE(tau=0.001, min_tau=0.05)
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        loss(a, b).sum().backward()
        optimizer.step()
    assert loss.log_scale.exp() < 10.0


def test_the_temperature_is_learnt_only_if_asked_for():
    a, b = views()
    for learn in (False, True):
        loss = SymmetricInfoNCE(learn_tau=learn)
        loss(a.clone().requires_grad_(), b).sum().backward()
        assert (loss.log_scale.grad is not None) is learn


def test_gradients_agree_with_differences():
    a, b = views()
    loss = SymmetricInfoNCE(tau=0.3).double()
    assert torch.autograd.gradcheck(
        lambda a, b, _: loss(a, b), (a.requires_grad_(), b.requires_grad_(), loss.log_scale)
    )
