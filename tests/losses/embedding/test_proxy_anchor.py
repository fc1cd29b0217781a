import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.proxy_anchor import ProxyAnchor


def batch(labels=(0, 0, 1, 1, 1, 3), d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(len(labels), d, dtype=torch.float64, generator=generator), torch.tensor(labels)


def built(classes=5, d=4, seed=1, **params):
    torch.manual_seed(seed)
    return ProxyAnchor(n_classes=classes, embedding_dim=d, **params).double()


def naive(embeddings, y, proxies, margin, alpha):
    pull, push, present = 0.0, 0.0, 0
    for label, proxy in enumerate(proxies.detach()):
        s = [float(torch.cosine_similarity(e, proxy, dim=0)) for e in embeddings]
        own = [math.exp(-alpha * (s[i] - margin)) for i in range(len(y)) if y[i] == label]
        other = [math.exp(alpha * (s[i] + margin)) for i in range(len(y)) if y[i] != label]
        pull += math.log(1 + sum(own))
        push += math.log(1 + sum(other))
        present += bool(own)
    return pull / present + push / len(proxies)


@pytest.mark.parametrize(("margin", "alpha"), [(0.1, 32.0), (0.0, 1.0), (0.4, 5.0)])
def test_equals_the_formula_in_plain_loops(margin, alpha):
    (embeddings, y), loss = batch(), built(margin=margin, alpha=alpha)
    assert loss(embeddings, y).item() == pytest.approx(naive(embeddings, y, loss.proxies, margin, alpha))


def test_large_alpha_leaves_the_hinges_of_the_hardest_rows():
    (embeddings, y), loss = batch(), built(margin=0.1, alpha=1e5)
    s = torch.nn.functional.normalize(embeddings, dim=1) @ torch.nn.functional.normalize(loss.proxies, dim=1).T
    own = torch.nn.functional.one_hot(y, 5).bool()
    pull = (0.1 - s.masked_fill(~own, 9).min(0).values).clamp(min=0).sum() / 3  # three classes are there
    push = (0.1 + s.masked_fill(own, -9).max(0).values).clamp(min=0).mean()
    assert loss(embeddings, y).item() / 1e5 == pytest.approx((pull + push).item(), abs=1e-4)


def test_a_proxy_without_rows_is_pushed_and_not_pulled():
    embeddings, y = batch(labels=(0, 0, 0))
    embeddings = embeddings.abs()
    loss = built(classes=2, alpha=1.0)
    loss.proxies.data.fill_(1.0)
    loss(embeddings, y).backward()
    before = torch.cosine_similarity(embeddings, loss.proxies[1:]).sum()
    after = torch.cosine_similarity(embeddings, loss.proxies[1:] - 0.01 * loss.proxies.grad[1:]).sum()
    assert after < before


def test_is_small_where_rows_lie_on_their_proxies_and_those_are_opposite():
    loss = built(classes=2, d=2)
    loss.proxies.data.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    assert loss(torch.tensor([[2.0, 0.0], [-3.0, 0.0]], dtype=torch.float64), torch.tensor([0, 1])) < 1e-10


def test_rows_are_weighted_by_their_hardness():
    loss = built(classes=2, d=2, margin=0.0, alpha=4.0)
    loss.proxies.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    s = torch.tensor([0.9, 0.2], dtype=torch.float64)
    embeddings = torch.stack([s, -(1 - s**2).sqrt()], 1).requires_grad_()  # far from the other proxy
    (gradient,) = torch.autograd.grad(loss(embeddings, torch.tensor([0, 0])), embeddings)
    own = torch.exp(-4 * s)
    other = torch.exp(4 * embeddings.detach()[:, 1])
    slope = torch.stack([-4 * own / (1 + own.sum()), 4 * other / (1 + other.sum()) / 2], 1)
    tangent = slope - (slope * embeddings.detach()).sum(1, keepdim=True) * embeddings.detach()
    assert_close(gradient, tangent)


def test_gradients_agree_with_differences():
    (embeddings, y), loss = batch(), built(alpha=5.0)
    assert torch.autograd.gradcheck(lambda e, _: loss(e, y), (embeddings.requires_grad_(), loss.proxies))
