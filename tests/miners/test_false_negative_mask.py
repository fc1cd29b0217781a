"""Suspect negatives: the rule in loops; masked pairs are out of the softmax and not in it with the logit 0."""

from math import inf

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.mining import mine
from sklearnloss.functional.pairs import Kept, Mined
from sklearnloss.losses.embedding.ntxent import ntxent
from sklearnloss.miners.false_negative_mask import false_negative_mask
from sklearnloss.spec import Miner


def mined(margin=0.1):
    return Mined(select=lambda block: Kept(pairs=false_negative_mask(block, margin=margin)))


@pytest.fixture
def with_a_duplicate():
    """Rows 0 and 1 are views of one thing; row 2, of another class, is nearly the same; row 3 is not."""
    rows = [[1.0, 0.1, 0.0], [1.0, -0.1, 0.0], [1.0, 0.0, 0.1], [0.0, 1.0, 0.3]]
    return torch.tensor(rows, dtype=torch.float64), torch.tensor([0, 0, 1, 2])


@pytest.mark.parametrize("margin", [-0.5, 0.0, 0.1, 0.7])
def test_equals_the_rule_in_plain_loops(scattered, margin):
    embeddings, y = scattered
    unit, n = torch.nn.functional.normalize(embeddings, dim=1), len(y)
    kept = mine(false_negative_mask, embeddings, y, margin=margin)
    for i in range(n):
        positives = [float(unit[i] @ unit[j]) for j in range(n) if j != i and y[j] == y[i]]
        for j in range(n):
            stays = not positives or max(positives) - float(unit[i] @ unit[j]) > margin
            assert bool(kept[i, j]) == (i != j and (y[i] == y[j] or stays))


def test_a_masked_pair_has_no_gradient_and_no_part_in_the_value(with_a_duplicate):
    embeddings, y = with_a_duplicate
    leaf = embeddings.clone().requires_grad_()
    values, _ = ntxent(leaf, y, tau=0.5, pairs=mined())
    (gradient,) = torch.autograd.grad(values[0], leaf)
    assert (gradient[2] == 0).all()
    without = ntxent(embeddings[[0, 1, 3]], y[[0, 1, 3]], tau=0.5)[0]
    assert_close(values[0].detach(), without[0])
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    multiplied = torch.logsumexp(torch.stack([unit[0] @ unit[1], torch.tensor(0.0), unit[0] @ unit[3]]) / 0.5, 0)
    assert (multiplied - unit[0] @ unit[1] / 0.5 - values[0]).abs() > 0.05  # what the paper's code would give


def test_an_infinite_margin_leaves_out_none(with_a_duplicate):
    assert_close(ntxent(*with_a_duplicate, pairs=mined(-inf)), ntxent(*with_a_duplicate))
    assert Miner("false_negative_mask", margin=-inf).choose().params == {"margin": -inf}


def test_an_anchor_without_a_positive_keeps_all_its_negatives(with_a_duplicate):
    assert mine(false_negative_mask, *with_a_duplicate)[3].tolist() == [True, True, True, False]
