"""Mixed negatives: where they lie, what they do to a loss, the warm-up, one class."""

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.pairs import Mined
from sklearnloss.losses.embedding.ntxent import ntxent
from sklearnloss.miners.mochi import mochi


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def unit(x):
    return torch.nn.functional.normalize(x, dim=-1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mixtures_are_unit_vectors_on_arcs_between_the_hardest_negatives(scattered, seed):
    embeddings, y = scattered
    mixed = mochi(embeddings, y, rng=rng(seed), n_hard=2, n_mixed=6, n_anchored=0).embeddings
    assert_close(mixed.norm(dim=2), torch.ones(14, 6, dtype=torch.float64))
    for i in range(14):
        cosines = (unit(embeddings) @ unit(embeddings)[i]).masked_fill(y == y[i], -9)
        a, b = unit(embeddings)[cosines.topk(2).indices]
        for h in mixed[i]:
            shares = torch.linalg.lstsq(torch.stack([a, b], dim=1), h[:, None]).solution.flatten()
            assert_close(shares @ torch.stack([a, b]), h)  # in their plane ...
            assert (shares > -1e-9).all()  # ... and between them


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_mixture_with_the_anchor_is_at_least_as_similar_to_it_as_its_negative(scattered, seed):
    embeddings, y = scattered
    mixed = mochi(embeddings, y, rng=rng(seed), n_hard=1, n_mixed=0, n_anchored=8).embeddings
    q = unit(embeddings)
    hardest = (q @ q.T).masked_fill(y[:, None] == y, -9).amax(1)
    similar = torch.einsum("nd,nsd->ns", q, mixed)
    assert (similar >= hardest[:, None] - 1e-12).all()
    # the anchor's share stays below one half: half the angle at most
    assert (similar.acos() >= hardest.acos()[:, None] / 2 - 1e-9).all()


def test_without_mixtures_the_loss_is_as_it_was_and_with_them_never_smaller(scattered):
    embeddings, y = scattered
    plain = ntxent(embeddings, y)[0]
    none = Mined(extra=(mochi(embeddings, y, rng=rng(), n_mixed=0, n_anchored=0),))
    some = Mined(extra=(mochi(embeddings, y, rng=rng()),))
    assert_close(ntxent(embeddings, y, pairs=none)[0], plain)
    assert (ntxent(embeddings, y, pairs=some)[0] >= plain).all()
    assert (ntxent(embeddings, y, pairs=some)[0] > plain).any()


def test_mixtures_carry_no_gradient(scattered):
    embeddings, y = scattered
    assert not mochi(embeddings.requires_grad_(), y, rng=rng()).embeddings.requires_grad


def test_nothing_is_mixed_during_the_warm_up(scattered):
    embeddings, y = scattered
    assert [mochi(embeddings, y, rng=rng(), epoch=e, warmup_epochs=3).embeddings.shape[1] for e in (0, 2, 3)] == [
        0,
        0,
        32,
    ]


def test_one_class_has_nothing_to_mix(scattered):
    embeddings, y = scattered
    extra = mochi(embeddings, torch.zeros_like(y), rng=rng())
    assert extra.embeddings.shape == (14, 0, 5)
    assert ntxent(embeddings, torch.zeros_like(y), pairs=Mined(extra=(extra,)))[0].isfinite().all()


def test_opposite_and_zero_vectors_mix_to_something_finite():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.0]])
    assert mochi(embeddings, torch.arange(4), rng=rng()).embeddings.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_keeps_the_precision(scattered, dtype):
    embeddings, y = scattered
    assert mochi(embeddings.to(dtype), y, rng=rng()).embeddings.dtype == dtype
