"""Batch hard: the farthest positive and the nearest negative, in loops; one triplet an anchor."""

import pytest
import torch

from sklearnloss.functional.mining import mine
from sklearnloss.functional.pairs import Extra, Kept, Mined
from sklearnloss.losses.embedding.triplet import triplet
from sklearnloss.miners.hard import hard


def naive(embeddings, y):
    unit, n = torch.nn.functional.normalize(embeddings, dim=1), len(y)
    kept = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        distance = [float((unit[i] - unit[j]).norm()) for j in range(n)]
        positives = [j for j in range(n) if j != i and y[j] == y[i]]
        negatives = [j for j in range(n) if y[j] != y[i]]
        if positives and negatives:
            kept[i, max(positives, key=lambda j: distance[j])] = True
            kept[i, min(negatives, key=lambda j: distance[j])] = True
    return kept


@pytest.mark.parametrize("compare", ["euclidean", "cosine"])
def test_equals_the_search_in_plain_loops(scattered, compare):
    assert torch.equal(mine(hard, *scattered, compare=compare), naive(*scattered))


def test_leaves_a_triplet_loss_one_triplet_an_anchor(scattered):
    embeddings, y = scattered
    mined = Mined(select=lambda block: Kept(pairs=hard(block)))
    totals, counts = triplet(embeddings, y, active=False, pairs=mined)
    assert counts.tolist() == [1.0] * 13 + [0.0]
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    distances = torch.cdist(unit, unit)
    same = y[:, None] == y
    gap = distances.masked_fill(~same, -1).amax(1) - distances.masked_fill(same, 9).amin(1) + 0.05
    torch.testing.assert_close(totals[:13], gap.clamp_min(0)[:13])


def test_goes_by_the_distance_of_the_loss():
    embeddings, y = (
        torch.tensor([[1.0, 0.0], [3.0, 3.0], [1.0, 0.5], [1.0, 0.1], [9.0, 0.0]]),
        torch.tensor([0, 0, 0, 1, 1]),
    )
    by_angle = mine(hard, embeddings, y)[0]
    by_length = mine(hard, embeddings, y, compare=torch.cdist)[0]
    assert by_angle.nonzero().flatten().tolist() == [1, 4]
    assert by_length.nonzero().flatten().tolist() == [1, 3]


def test_an_anchor_without_a_positive_or_a_negative_keeps_nothing(arc):
    embeddings, y = arc
    assert not mine(hard, embeddings, y)[9].any()
    assert not mine(hard, embeddings, torch.zeros_like(y)).any()
    assert not mine(hard, embeddings, torch.arange(10)).any()


def test_keeps_two_pairs_of_each_anchor_even_of_duplicates():
    kept = mine(hard, torch.ones(6, 3), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert kept.sum(1).tolist() == [2] * 6


def test_takes_a_further_negative_of_the_anchor_where_it_is_the_nearest(arc):
    embeddings, y = arc
    further = -embeddings[:, None].clone()
    further[0, 0] = embeddings[0] + 0.01
    kept = mine(hard, embeddings, y, extra=(Extra(further),))
    assert kept[0].nonzero().flatten().tolist() == [3, 10]
    assert torch.equal(kept[1:, :10], mine(hard, embeddings, y)[1:])
