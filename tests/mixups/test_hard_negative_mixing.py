"""Mixed hard negatives: where they lie, shares without a gradient, what they do to a loss."""

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.pairs import Mined
from sklearnloss.losses.embedding.ntxent import ntxent
from sklearnloss.mixups.hard_negative_mixing import hard_negative_mixing


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=12, classes=3, seed=0):
    return torch.randn(n, 6, generator=rng(seed), dtype=torch.float64), torch.arange(n) % classes


def unit(x):
    return torch.nn.functional.normalize(x, dim=-1)


def hardest(embeddings, y, i, k):
    cosines = (unit(embeddings) @ unit(embeddings)[i]).masked_fill(y == y[i], -9)
    return cosines.topk(k)


def test_the_mixture_of_all_is_the_formula_in_plain_loops():
    embeddings, y = batch()
    mixed = hard_negative_mixing(embeddings, y, rng=rng(), n_hard=4, n_mixed=0, tau=0.2).embeddings
    for i in range(12):
        cosines, rows = hardest(embeddings, y, i, 4)
        shares = torch.softmax(cosines / 0.2, 0)
        assert_close(mixed[i, 0], unit(sum(c * unit(embeddings[k]) for c, k in zip(shares, rows, strict=True))))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_mixture_of_two_lies_between_two_different_hard_negatives(seed):
    embeddings, y = batch()
    mixed = hard_negative_mixing(embeddings, y, rng=rng(seed), n_hard=3, n_mixed=5, listwise=False).embeddings
    assert mixed.shape == (12, 5, 6)
    for i in range(12):
        rows = unit(embeddings[hardest(embeddings, y, i, 3).indices])
        shares = torch.linalg.lstsq(rows.T, mixed[i].T).solution.T  # (5, 3)
        assert_close(shares @ rows, mixed[i])
        assert ((shares > 1e-9).sum(1) == 2).all()
        assert (shares > -1e-9).all()


def test_a_share_of_nearly_all_gives_back_an_original_negative():
    embeddings, y = batch()
    mixed = hard_negative_mixing(embeddings, y, rng=rng(), n_hard=3, listwise=False, alpha=1e-7).embeddings
    apart = torch.cdist(mixed.flatten(0, 1), unit(embeddings)).amin(1)
    assert apart.max() < 1e-5


def test_further_negatives_never_lower_the_loss():
    embeddings, y = batch()
    plain = ntxent(embeddings, y)[0]
    extra = hard_negative_mixing(embeddings, y, rng=rng())
    assert (ntxent(embeddings, y, pairs=Mined(extra=(extra,)))[0] >= plain).all()


def test_the_gradient_reaches_the_negatives_and_not_the_shares():
    embeddings, y = batch()
    leaf = embeddings.requires_grad_()
    mixed = hard_negative_mixing(leaf, y, rng=rng(), n_hard=3, n_mixed=2).embeddings
    (gradient,) = torch.autograd.grad(mixed[0].sum(), leaf)
    reached = (gradient.abs().sum(1) > 0).nonzero().flatten().tolist()
    assert set(reached) == set(hardest(embeddings.detach(), y, 0, 3).indices.tolist())


def test_one_class_has_nothing_to_mix_and_one_negative_is_mixed_with_itself():
    embeddings, _ = batch(4)
    assert hard_negative_mixing(embeddings, torch.zeros(4, dtype=torch.int64), rng=rng()).embeddings.shape == (4, 0, 6)
    mixed = hard_negative_mixing(embeddings, torch.tensor([0, 0, 0, 1]), rng=rng()).embeddings
    assert_close(mixed[0], unit(embeddings[3]).expand(5, 6))


def test_draws_follow_the_generator():
    first, again, other = (hard_negative_mixing(*batch(), rng=rng(seed)).embeddings for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
