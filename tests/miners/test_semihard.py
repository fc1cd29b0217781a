"""Semi-hard: farther than the positive, within the margin; for triplets and for pairs."""

import pytest
import torch

from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.mining import mine
from sklearnloss.functional.pairs import Kept, Mined
from sklearnloss.losses.embedding.contrastive import contrastive
from sklearnloss.losses.embedding.triplet import triplet
from sklearnloss.miners.semihard import semihard
from sklearnloss.spec import Miner


def mined(margin):
    return Mined(select=lambda block: Kept(triplets=semihard(block, margin=margin)), unit="window")


def triplets(embeddings, y, margin):
    unit, n = torch.nn.functional.normalize(embeddings, dim=1), len(y)
    distance = [[float((unit[i] - unit[j]).norm()) for j in range(n)] for i in range(n)]
    return [
        (i, j, k, distance[i][j] - distance[i][k])
        for i in range(n)
        for j in range(n)
        for k in range(n)
        if i != j and y[i] == y[j] != y[k] and 0 < distance[i][k] - distance[i][j] < margin
    ]


@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
def test_leaves_a_triplet_loss_the_triplets_of_the_loops(scattered, margin):
    totals, counts = triplet(*scattered, margin=0.1, active=False, pairs=mined(margin))
    found = triplets(*scattered, margin)
    assert counts.sum() == len(found)
    assert float(totals.sum()) == pytest.approx(sum(max(0.0, gap + 0.1) for *_, gap in found))


def test_with_the_margin_of_the_loss_every_triplet_costs_something(scattered):
    totals, counts = triplet(*scattered, margin=0.2, active=True, pairs=mined(0.2))
    assert counts.sum() == len(triplets(*scattered, 0.2))
    assert (totals[counts > 0] > 0).all()


def test_a_loss_over_pairs_keeps_those_that_are_in_a_triplet(scattered):
    embeddings, y = scattered
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    found = triplets(embeddings, y, 0.2)
    positive, negative = {(i, j) for i, j, *_ in found}, {(i, k) for i, _, k, _ in found}
    pull = [float((unit[i] - unit[j]).norm()) for i, j in positive]
    push = [1.5 - float((unit[i] - unit[k]).norm()) for i, k in negative]
    push = [p for p in push if p > 0]
    value = contrastive(embeddings, y, neg_margin=1.5, pairs=mined(0.2)).mean()
    assert float(value) == pytest.approx(sum(pull) / len(pull) + sum(push) / len(push))


def test_says_its_window_and_refuses_an_empty_one(arc):
    assert mine(semihard, *arc, unit="window") == (0.0, 0.2)
    with pytest.raises(ParameterError, match=r"margin must be a float in \(0, inf\), got 0"):
        Miner("semihard", margin=0).choose()
