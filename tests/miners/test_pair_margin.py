"""Pair margin: the rule in loops; what it leaves out costs a contrastive loss nothing."""

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.mining import mine
from sklearnloss.functional.pairs import Kept, Mined
from sklearnloss.losses.embedding.contrastive import contrastive
from sklearnloss.miners.pair_margin import pair_margin


@pytest.mark.parametrize("margins", [(0.2, 0.8), (0.0, 2.0), (1.0, 1.2)])
def test_equals_the_rule_in_plain_loops(scattered, margins):
    embeddings, y = scattered
    unit, n = torch.nn.functional.normalize(embeddings, dim=1), len(y)
    kept = mine(pair_margin, embeddings, y, pos_margin=margins[0], neg_margin=margins[1])
    for i in range(n):
        for j in range(n):
            d = float((unit[i] - unit[j]).norm())
            assert bool(kept[i, j]) == (i != j and (d > margins[0] if y[i] == y[j] else d < margins[1]))


def test_changes_nothing_for_the_contrastive_loss_of_the_same_margins(scattered):
    mined = Mined(select=lambda block: Kept(pairs=pair_margin(block, pos_margin=0.3, neg_margin=1.1)))
    plain = contrastive(*scattered, pos_margin=0.3, neg_margin=1.1)
    assert_close(contrastive(*scattered, pos_margin=0.3, neg_margin=1.1, pairs=mined), plain)


def test_goes_by_the_distance_of_the_loss():
    embeddings, y = torch.tensor([[0.0, 1.0], [0.0, 3.0], [0.0, 1.5]]), torch.tensor([0, 0, 1])
    assert mine(pair_margin, embeddings, y, compare=torch.cdist)[0].tolist() == [False, True, True]
    assert mine(pair_margin, embeddings, y)[0].tolist() == [False, False, True]
