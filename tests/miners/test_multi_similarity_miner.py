"""The multi-similarity miner: worked numbers, the rule in loops, its limits, anchors that lack a side."""

import math

import pytest
import torch

from sklearnloss.functional.mining import mine
from sklearnloss.functional.pairs import Kept, Mined
from sklearnloss.losses.embedding.multi_similarity import multi_similarity
from sklearnloss.miners.multi_similarity_miner import multi_similarity_miner


def anchor_with(positives, negatives):
    """Row 0 has exactly these cosines with the others."""
    rows = [(1.0, 0.0)] + [(s, math.sqrt(1 - s * s)) for s in (*positives, *negatives)]
    return torch.tensor(rows, dtype=torch.float64), torch.tensor([0] * (1 + len(positives)) + [1] * len(negatives))


def naive(embeddings, y, margin):
    unit, n = torch.nn.functional.normalize(embeddings, dim=1), len(y)
    kept = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        s = [float(unit[i] @ unit[j]) for j in range(n)]
        positives = [j for j in range(n) if j != i and y[j] == y[i]]
        negatives = [j for j in range(n) if y[j] != y[i]]
        if positives and negatives:
            for j in positives:
                kept[i, j] = s[j] - margin < max(s[k] for k in negatives)
            for k in negatives:
                kept[i, k] = s[k] + margin > min(s[j] for j in positives)
    return kept


@pytest.mark.parametrize("margin", [-0.2, 0.0, 0.1, 0.5])
@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
def test_equals_the_rule_in_plain_loops(scattered, margin, compare):
    kept = mine(multi_similarity_miner, *scattered, compare=compare, margin=margin)
    assert torch.equal(kept, naive(*scattered, margin))


def test_keeps_the_pairs_of_the_worked_numbers_and_gives_their_loss():
    embeddings, y = anchor_with((0.8, 0.6), (0.7, 0.3))
    kept = mine(multi_similarity_miner, embeddings, y, margin=0.09)
    assert kept[0].nonzero().flatten().tolist() == [2, 3]
    mined = Mined(select=lambda block: Kept(pairs=multi_similarity_miner(block, margin=0.09)))
    totals, _ = multi_similarity(embeddings, y, alpha=2.0, beta=50.0, lam=0.5, pairs=mined)
    assert float(totals[0]) == pytest.approx(0.499070, abs=1e-6)


def test_a_wide_margin_keeps_all_and_a_narrow_one_nothing(arc):
    embeddings, y = arc
    wide, narrow = (mine(multi_similarity_miner, embeddings[:9], y[:9], margin=m) for m in (2.1, -2.1))
    assert torch.equal(wide, ~torch.eye(9, dtype=torch.bool))
    assert not narrow.any()


def test_an_anchor_without_a_positive_or_a_negative_keeps_nothing_where_the_authors_code_fails(arc):
    embeddings, y = arc
    assert not mine(multi_similarity_miner, embeddings, y)[9].any()
    assert not mine(multi_similarity_miner, embeddings, torch.zeros_like(y)).any()
    assert not mine(multi_similarity_miner, embeddings, torch.arange(10)).any()


def test_a_loss_that_nothing_is_kept_for_is_zero_with_a_valid_gradient():
    embeddings = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mined = Mined(select=lambda block: Kept(pairs=multi_similarity_miner(block)))
    totals, _ = multi_similarity(embeddings, torch.arange(4), pairs=mined)
    totals.sum().backward()
    assert (totals == 0).all()
    assert (embeddings.grad == 0).all()
