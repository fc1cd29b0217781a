"""Distance-weighted sampling: the shares of the formula, both cutoffs, high dimension, where peers lose weights."""

import math

import pytest
import torch

from sklearnloss.functional.mining import mine
from sklearnloss.functional.pairs import Kept, Mined
from sklearnloss.losses.embedding.triplet import triplet
from sklearnloss.miners.distance_weighted import distance_weighted


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(embeddings, y, seed=0, **params):
    return mine(distance_weighted, embeddings, y, unit="triplet", rng=rng(seed), **params)  # (n, m, n)


def at_distances(distances, width, copies):
    """Row 0 and `copies - 1` duplicates of it, and one row of a class of its own at each distance from them."""
    rows = torch.zeros(copies + len(distances), width, dtype=torch.float64)
    rows[:copies, 0] = 1.0
    for k, d in enumerate(distances):
        cosine = 1 - d * d / 2
        rows[copies + k, 0], rows[copies + k, 1] = cosine, math.sqrt(max(0.0, 1 - cosine * cosine))
    return rows, torch.tensor([0] * copies + list(range(1, len(distances) + 1)))


def formula(distances, width, cutoff):
    """Shares in exact integers' spirit: powers of each weight relative to the first, no logarithm."""
    clamped = [max(d, cutoff) for d in distances]
    weights = [d ** (2 - width) * (1 - d * d / 4) ** ((3 - width) / 2) for d in clamped]
    return [w / sum(weights) for w in weights]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draws_in_the_shares_of_the_formula(seed):
    distances, width = (0.3, 0.6, 0.9, 1.2), 8
    embeddings, y = at_distances(distances, width, copies=60)
    kept = drawn(embeddings, y, seed)[:60, :, 60:]  # (60, 60, 4)
    counts = kept.sum((0, 1)).double()
    for count, share in zip(counts / counts.sum(), formula(distances, width, 0.5), strict=True):
        assert float(count) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 3600) + 1e-9)


def test_gives_each_positive_one_negative_of_the_anchor(scattered):
    embeddings, y = scattered
    kept = drawn(embeddings, y, nonzero_loss_cutoff=2.1)
    assert (kept.sum(2) == 1).all()
    assert not (kept & (y[:, None, None] == y)).any()
    mined = Mined(
        select=lambda b: Kept(triplets=distance_weighted(b, rng=rng(), nonzero_loss_cutoff=2.1)), unit="triplet"
    )
    _, counts = triplet(embeddings, y, active=False, pairs=mined)
    assert counts.tolist() == [float((y == label).sum() - 1) for label in y]


@pytest.mark.parametrize("width", [128, 2048])
def test_weights_survive_in_high_dimension_where_a_maximum_over_the_batch_loses_them(width):
    # the far row (1.39) has e^(-0.7 width) of the weight of the near one (0.5): alone it must be drawn all the same
    embeddings, y = at_distances((1.39,), width, copies=2)
    near = torch.zeros(2, width, dtype=torch.float64)
    near[:, 2] = 1.0
    near[1, 3] = 0.5  # another class, whose rows are near one another
    kept = drawn(torch.cat([embeddings, near]).float(), torch.cat([y, torch.tensor([7, 8])]))
    assert kept[0].any(1).tolist() == [True, True]
    assert kept[0].any(0).nonzero().flatten().tolist() == [2]


def test_leaves_out_what_lies_beyond_the_cutoff_of_the_loss():
    embeddings, y = at_distances((0.8, 1.5), 4, copies=2)
    assert drawn(embeddings, y)[0].any(0).nonzero().flatten().tolist() == [2]
    assert not drawn(embeddings, y, nonzero_loss_cutoff=0.7).any(2)[:2].any()


def test_within_the_cutoff_all_are_drawn_equally():
    embeddings, y = at_distances((0.1, 0.2, 0.4), 64, copies=50)
    counts = drawn(embeddings, y)[:50].sum((0, 1))[50:].double()
    assert (counts / counts.sum() - 1 / 3).abs().max() < 0.04


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_antipodes_duplicates_and_zero_vectors_are_drawn_from_as_any(dtype, width):
    embeddings = torch.zeros(6, width, dtype=dtype)
    embeddings[:, 0] = torch.tensor([1.0, 1.0, -1.0, -1.0, 0.0, 0.0])
    kept = drawn(embeddings, torch.tensor([0, 0, 1, 1, 2, 2]), nonzero_loss_cutoff=3.0)
    assert (kept.sum(2) == 1).all()


def test_follows_its_generator(scattered):
    first, again, other = (drawn(*scattered, seed, nonzero_loss_cutoff=2.1) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_a_negative_nothing_is_drawn(scattered):
    embeddings, y = scattered
    assert not drawn(embeddings, torch.zeros_like(y)).any()
