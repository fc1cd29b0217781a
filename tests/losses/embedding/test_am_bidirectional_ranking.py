import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.am_bidirectional_ranking import AdditiveMarginRanking
from sklearnloss.losses.embedding.multiple_negatives import multiple_negatives


def views(n=6, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, n, d, dtype=torch.float64, generator=generator)


def naive(a, b, margin, scale):
    n, values = len(a), []
    cosines = [[float(torch.cosine_similarity(a[i], b[j], dim=0)) for j in range(n)] for i in range(n)]
    logits = [[scale * (cosines[i][j] - margin * (i == j)) for j in range(n)] for i in range(n)]
    for i in range(n):
        forth = math.log(sum(math.exp(logits[i][j]) for j in range(n)))
        back = math.log(sum(math.exp(logits[j][i]) for j in range(n)))
        values.append(forth + back - 2 * logits[i][i])
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(("margin", "scale"), [(0.0, 1.0), (0.3, 20.0), (1.0, 5.0)])
def test_equals_the_formula_in_plain_loops(margin, scale):
    a, b = views()
    loss = AdditiveMarginRanking(margin=margin, scale=scale).double()
    assert_close(loss(a, b), naive(a, b, margin, scale), atol=1e-6, rtol=1e-5)  # the scale was kept in float32


def test_gives_the_worked_number():
    loss = AdditiveMarginRanking(margin=0.3, scale=20.0).double()
    eye = torch.eye(2, dtype=torch.float64)
    assert loss(eye, eye).mean().item() == pytest.approx(1.66306e-6, rel=1e-4)


def test_without_a_margin_it_is_the_symmetric_ranking_loss():
    a, b = views()
    loss = AdditiveMarginRanking(margin=0.0, scale=20.0).double()
    assert_close(loss(a, b), multiple_negatives(a, b, scale=20.0, symmetric=True), atol=1e-6, rtol=1e-5)


def test_views_may_change_places():
    a, b = views()
    loss = AdditiveMarginRanking()
    assert_close(loss(a, b), loss(b, a))


def test_a_larger_margin_costs_more():
    a, b = views()
    values = torch.stack([AdditiveMarginRanking(margin=m)(a, b) for m in (0.0, 0.2, 0.4)])
    assert (values.diff(dim=0) > 0).all()


def test_every_right_pair_is_pulled_together():
    a, b = views()
    a.requires_grad_()
    values = AdditiveMarginRanking(scale=3.0)(a, b)
    for i, value in enumerate(values):
        (gradient,) = torch.autograd.grad(value, a, retain_graph=True)
        cosine = torch.cosine_similarity(a[i].detach() - 1e-3 * gradient[i], b[i], dim=0)
        assert cosine > torch.cosine_similarity(a[i].detach(), b[i], dim=0)


def test_the_scale_is_learnt_only_if_asked_for():
    a, b = views()
    for learn in (False, True):
        loss = AdditiveMarginRanking(learn_scale=learn)
        leaf = a.clone().requires_grad_()
        loss(leaf, b).sum().backward()
        assert (loss.log_scale.grad is not None) is learn


def test_gradients_agree_with_differences():
    a, b = views()
    loss = AdditiveMarginRanking(scale=5.0, learn_scale=True).double()
    assert torch.autograd.gradcheck(lambda a, b, _: loss(a, b), (*map(_leaf, (a, b)), loss.log_scale))


def _leaf(x):
    return x.clone().requires_grad_()
