import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.soft_triple import SoftTriple


def batch(n=7, d=4, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, d, dtype=torch.float64, generator=generator), torch.arange(n) % classes


def built(classes=3, d=4, seed=1, **params):
    torch.manual_seed(seed)
    return SoftTriple(n_classes=classes, embedding_dim=d, **params).double()


def naive(embeddings, y, centers, la, gamma, margin, tau):
    def cosine(a, b):
        return sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    centers, values = centers.tolist(), []
    classes, k = len(centers), len(centers[0])
    spread = sum(
        math.sqrt(2 - 2 * cosine(centers[c][i], centers[c][j]) + 1e-5)
        for c in range(classes)
        for i in range(k)
        for j in range(i + 1, k)
    )
    spread /= max(classes * k * (k - 1), 1)
    for e, label in zip(embeddings.tolist(), y.tolist(), strict=True):
        similar = []
        for c in range(classes):
            s = [cosine(e, w) for w in centers[c]]
            weights = [math.exp(x / gamma) for x in s]
            similar.append(sum(w * x for w, x in zip(weights, s, strict=True)) / sum(weights))
        similar[label] -= margin
        powers = [math.exp(la * s) for s in similar]
        values.append(-math.log(powers[label] / sum(powers)) + tau * spread)
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("k", "la", "gamma", "margin", "tau"),
    [(10, 20.0, 0.1, 0.01, 0.2), (3, 20.0, 0.1, 0.01, 0.0), (2, 5.0, 1.0, 0.2, 1.0), (1, 8.0, 0.1, 0.1, 0.2)],
)
def test_equals_the_formula_in_plain_loops(k, la, gamma, margin, tau):
    embeddings, y = batch()
    loss = built(centers_per_class=k, la=la, gamma=gamma, margin=margin, tau=tau)
    expected = naive(embeddings, y, loss.centers, la, gamma, margin, tau)
    assert_close(loss(embeddings, y).detach(), expected)


def test_one_center_a_class_is_cross_entropy_of_cosines_with_a_margin():
    (embeddings, y), loss = batch(), built(centers_per_class=1, la=10.0, margin=0.3)
    cosines = torch.cosine_similarity(embeddings[:, None], loss.centers[:, 0][None], dim=2)
    cosines[torch.arange(7), y] -= 0.3
    assert_close(loss(embeddings, y), torch.nn.functional.cross_entropy(10 * cosines, y, reduction="none"))


def test_equal_centers_of_a_class_count_as_one():
    embeddings, y = batch()
    one, many = built(centers_per_class=1), built(centers_per_class=4, tau=0.0)
    many.centers.data.copy_(one.centers.data.expand(3, 4, 4))
    assert_close(many(embeddings, y), one(embeddings, y))


@pytest.mark.parametrize(("gamma", "of"), [(1e-4, torch.amax), (1e6, torch.mean)])
def test_gamma_moves_from_the_nearest_center_to_their_mean(gamma, of):
    (embeddings, y), loss = batch(), built(centers_per_class=3, gamma=gamma, margin=0.0, tau=0.0)
    cosines = torch.cosine_similarity(embeddings[:, None, None], loss.centers[None], dim=3)  # (n, C, K)
    expected = torch.nn.functional.cross_entropy(20 * of(cosines, dim=2), y, reduction="none")
    assert_close(loss(embeddings, y), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_regularizer_draws_the_centers_of_a_class_together(seed):
    spreads = []
    for tau in (0.0, 10.0):
        embeddings, y = batch(n=30, seed=seed)
        loss = built(centers_per_class=4, tau=tau, seed=seed)
        optimizer = torch.optim.Adam(loss.parameters(), lr=0.02)
        for _ in range(150):
            optimizer.zero_grad()
            loss(embeddings, y).mean().backward()
            optimizer.step()
        unit = torch.nn.functional.normalize(loss.centers.detach(), dim=2)
        spreads.append((1 - unit @ unit.mT).mean())
    assert spreads[1] < spreads[0] / 2


def test_equal_centers_have_a_finite_gradient():
    (embeddings, y), loss = batch(), built(centers_per_class=3)
    loss.centers.data.fill_(1.0)
    loss(embeddings, y).sum().backward()
    assert torch.isfinite(loss.centers.grad).all()


def test_gradients_agree_with_differences():
    (embeddings, y), loss = batch(), built(centers_per_class=3, la=5.0)
    assert torch.autograd.gradcheck(lambda e, _: loss(e, y), (embeddings.requires_grad_(), loss.centers))
