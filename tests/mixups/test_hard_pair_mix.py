"""Hard pairs, mixed: which rows, which classes, the two traps of the authors' code."""

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.pairs import Mined
from sklearnloss.losses.embedding.supcon import supcon
from sklearnloss.mixups.hard_pair_mix import hard_pair_mix


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=12, classes=3, seed=0):
    return torch.randn(n, 6, generator=rng(seed), dtype=torch.float64), torch.arange(n) % classes


def unit(x):
    return torch.nn.functional.normalize(x, dim=-1)


def shares(vector, one, other):
    """Return how much of ``one`` is in a mixture with ``other``."""
    share = ((vector - other) @ (one - other)) / (one - other).square().sum()
    assert_close(vector, share * one + (1 - share) * other)
    return float(share)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_farthest_positive_is_mixed_with_the_nearest_negative_of_each_row(seed):
    embeddings, y = batch()
    extra = hard_pair_mix(embeddings, y, rng=rng(seed))
    cosines = unit(embeddings) @ unit(embeddings).T
    for i in range(12):
        p = min((j for j in range(12) if y[j] == y[i] and j != i), key=lambda j: float(cosines[i, j]))
        q = max((j for j in range(12) if y[j] != y[i]), key=lambda j: float(cosines[i, j]))
        share = shares(extra.embeddings[i], unit(embeddings[p]), unit(embeddings[q]))
        assert -1e-9 <= share <= 1 + 1e-9
        assert extra.y[i] == (y[i] if share >= 0.5 else y[q])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_row_has_a_small_share_in_a_mixture_with_a_random_one(seed):
    embeddings, y = batch()
    extra = hard_pair_mix(embeddings, y, rng=rng(seed), min_share=0.9)
    rows = unit(embeddings)
    partners = torch.cdist(extra.embeddings[12:], rows).argmin(1).tolist()
    assert sorted(partners) == list(range(12))  # each is the partner of one
    for i, r in enumerate(partners):
        assert extra.y[12 + i] == y[r]
        if r == i:
            assert_close(extra.embeddings[12 + i], rows[i])
        else:
            assert 0.9 - 1e-9 <= shares(extra.embeddings[12 + i], rows[r], rows[i]) <= 1 + 1e-9


def test_rows_of_other_classes_are_no_positives_even_where_all_positives_are_similar():
    # all positives have cosines above 0: a search that fills with 0 finds a row of the other class
    embeddings = torch.tensor([[1.0, 0.1], [1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]], dtype=torch.float64)
    y = torch.tensor([0, 0, 0, 1, 1])
    extra = hard_pair_mix(embeddings, y, rng=rng(), alpha=1e-9)  # shares of 0 or 1: the parts themselves
    for i in range(5):
        row = int(torch.cdist(extra.embeddings[i : i + 1], unit(embeddings)).argmin())
        assert y[row] == extra.y[i]
        assert row != i


def test_exact_mixtures_of_two_classes_are_negatives_of_all():
    embeddings, y = batch()
    dominant, exact = (hard_pair_mix(embeddings, y, rng=rng(), positive_rule=r) for r in ("dominant", "exact"))
    assert torch.equal(dominant.embeddings, exact.embeddings)
    pairs = exact.y[:12]
    assert (pairs < 0).all()
    assert pairs.unique().numel() == 12  # not even of one another
    partners = exact.y[12:]
    assert torch.equal(partners[partners >= 0], dominant.y[12:][partners >= 0])  # within a class it stays pure
    assert (partners >= 0).any()


def test_twenty_classes_are_told_apart():
    embeddings, y = batch(40, 20)
    for rule in ("dominant", "exact"):
        extra = hard_pair_mix(embeddings, y, rng=rng(), positive_rule=rule)
        values, _ = supcon(embeddings, y, pairs=Mined(extra=(extra,)))
        assert values.isfinite().all()
        assert set(extra.y[extra.y >= 0].tolist()) <= set(range(20))


def test_a_row_alone_in_its_class_is_its_own_positive_and_one_class_needs_no_negative():
    embeddings, _ = batch(4)
    alone = hard_pair_mix(embeddings, torch.arange(4), rng=rng(), alpha=1e-9)
    assert torch.cdist(alone.embeddings[:4], unit(embeddings)).amin(1).max() < 1e-6
    one = hard_pair_mix(embeddings, torch.zeros(4, dtype=torch.int64), rng=rng(), positive_rule="exact")
    assert (one.y == 0).all()
    assert torch.cdist(one.embeddings[:4], unit(embeddings)).amin(1).max() < 1e-6


def test_the_gradient_reaches_the_rows_and_draws_follow_the_generator():
    embeddings, y = batch()
    assert hard_pair_mix(embeddings.clone().requires_grad_(), y, rng=rng()).embeddings.requires_grad
    first, again, other = (hard_pair_mix(embeddings, y, rng=rng(seed)).embeddings for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
