"""The terms of mixed vectors in the losses that wish for them: in loops, limits, and beside what a mixup makes."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.distances.euclidean import euclidean
from sklearnloss.functional.pairs import Mixed
from sklearnloss.losses.embedding.contrastive import contrastive
from sklearnloss.losses.embedding.multi_similarity import multi_similarity
from sklearnloss.mixups.metrix import metrix


def batch(n=8, s=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(n, 4, generator=generator, dtype=dtype)
    vectors = torch.randn(n, s, 4, generator=generator, dtype=dtype)
    lam = torch.rand(n, s, generator=generator, dtype=dtype)
    exists = torch.rand(n, s, generator=generator) < 0.7
    return embeddings, torch.arange(n) % 3, Mixed(vectors, lam, exists, weight=0.4)


def unit(x):
    return torch.nn.functional.normalize(x, dim=-1)


def total(loss, embeddings, y, **given):
    values = loss(embeddings, y, **given)
    return values[0].sum() / values[1].sum() if isinstance(values, tuple) else values.mean()


def naive_contrastive(embeddings, mixed, pos_margin=0.0, neg_margin=1.0):
    terms = []
    for i, j in mixed.exists.nonzero().tolist():
        d = float((unit(embeddings[i]) - unit(mixed.embeddings[i, j])).norm())
        lam = float(mixed.lam[i, j])
        terms.append(lam * max(0.0, d - pos_margin) + (1 - lam) * max(0.0, neg_margin - d))
    return sum(terms) / len(terms)


def naive_multi_similarity(embeddings, y, mixed, alpha=2.0, beta=50.0, lam=0.5):
    terms = []
    for i in range(len(embeddings)):
        pull = push = 0.0
        for j in mixed.exists[i].nonzero().flatten().tolist():
            s, share = float(unit(embeddings[i]) @ unit(mixed.embeddings[i, j])), float(mixed.lam[i, j])
            pull += share * math.exp(-alpha * (s - lam))
            push += (1 - share) * math.exp(beta * (s - lam))
        terms.append(math.log1p(pull) / alpha + math.log1p(push) / beta)
    return sum(terms) / len(terms)


def test_contrastive_adds_the_mean_of_the_formula_in_plain_loops():
    embeddings, y, mixed = batch()
    added = total(contrastive, embeddings, y, mixed=mixed) - total(contrastive, embeddings, y)
    assert float(added) == pytest.approx(0.4 * naive_contrastive(embeddings, mixed))


def test_contrastive_measures_mixed_vectors_by_the_distance_given():
    embeddings, y, mixed = batch()
    same = total(contrastive, embeddings, y, mixed=mixed, distance=euclidean)
    assert_close(same, total(contrastive, embeddings, y, mixed=mixed))
    other = total(contrastive, embeddings, y, mixed=mixed, distance=torch.cdist)
    assert not torch.isclose(other - total(contrastive, embeddings, y, distance=torch.cdist), same)


def test_multi_similarity_adds_the_formula_in_plain_loops():
    embeddings, y, mixed = batch()
    added = total(multi_similarity, embeddings, y, mixed=mixed) - total(multi_similarity, embeddings, y)
    assert float(added) == pytest.approx(0.4 * naive_multi_similarity(embeddings, y, mixed))


@pytest.mark.parametrize("loss", [contrastive, multi_similarity])
def test_a_weight_of_zero_gives_the_loss_of_clean_pairs(loss):
    embeddings, y, mixed = batch()
    weightless = Mixed(mixed.embeddings, mixed.lam, mixed.exists, weight=0.0)
    assert_close(total(loss, embeddings, y, mixed=weightless), total(loss, embeddings, y))


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_a_whole_share_leaves_one_term_only(lam):
    embeddings, y, mixed = batch()
    whole = Mixed(mixed.embeddings, torch.full_like(mixed.lam, lam), mixed.exists, weight=1.0)
    distances = (unit(embeddings)[:, None] - unit(mixed.embeddings)).norm(dim=2)[mixed.exists]
    wanted = distances.mean() if lam == 1 else (1 - distances).clamp_min(0).mean()
    assert_close(total(contrastive, embeddings, y, mixed=whole) - total(contrastive, embeddings, y), wanted)
    one_sided = total(multi_similarity, embeddings, y, mixed=whole) - total(multi_similarity, embeddings, y)
    assert float(one_sided) == pytest.approx(naive_multi_similarity(embeddings, y, whole))


def test_mixing_two_equal_vectors_costs_the_clean_terms_in_the_shares():
    a, x = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.8, 0.6]])
    mixed = Mixed(x[None], torch.tensor([[0.3]]), torch.ones(1, 1, dtype=torch.bool), weight=1.0)
    d = math.sqrt(0.4)
    assert float(contrastive(a, torch.tensor([0]), mixed=mixed)) == pytest.approx(0.3 * d + 0.7 * (1 - d))


@pytest.mark.parametrize("loss", [contrastive, multi_similarity])
def test_gradients_through_a_mixup_agree_with_differences(loss):
    embeddings, y, _ = batch(n=6)

    def value(e):
        mixed = metrix(e, y, rng=torch.Generator().manual_seed(0), n_mixed=2)
        return total(loss, e, y, mixed=mixed)

    assert torch.autograd.gradcheck(value, embeddings.requires_grad_())


@pytest.mark.parametrize("loss", [contrastive, multi_similarity])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_zero_vectors_duplicates_and_nothing_mixed_are_finite(loss, dtype):
    rows = [[0.0, 0.0], [0.0, 0.0], [200.0, -200.0], [1.0, 1.0], [1.0, 1.0]]
    embeddings = torch.tensor(rows, dtype=dtype, requires_grad=True)
    for y in ([0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 2, 3, 4]):
        mixed = metrix(embeddings, torch.tensor(y), rng=torch.Generator().manual_seed(1))
        values = loss(embeddings, torch.tensor(y), mixed=mixed)
        values = values[0] if isinstance(values, tuple) else values
        (gradient,) = torch.autograd.grad(values.sum(), embeddings)
        assert values.dtype == dtype
        assert values.isfinite().all()
        assert gradient.isfinite().all()
