"""Contrastive: the formula in loops, the peer's numbers, its limits, its miner, another distance."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.contrastive import contrastive


def naive(distances, y, pos_margin, neg_margin, kept=None):
    """The reduced value."""
    n = len(y)
    pulls, pushes = [], []
    for i in range(n):
        for j in range(n):
            if i == j or (kept is not None and not kept[i, j]):
                continue
            if y[i] == y[j]:
                pulls.append(max(0.0, distances[i][j] - pos_margin))
            else:
                pushes.append(max(0.0, neg_margin - distances[i][j]))
    return sum(sum(terms) / max(1, sum(t > 0 for t in terms)) for terms in (pulls, pushes))


def unit_distances(embeddings):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    return [[math.dist(a, b) for b in unit] for a in unit]


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize(("pos_margin", "neg_margin"), [(0.0, 1.0), (0.3, 1.7)])
def test_equals_the_formula_in_plain_loops(sizes, pos_margin, neg_margin, waves):
    embeddings, y = waves(*sizes)
    value = contrastive(embeddings, y, pos_margin=pos_margin, neg_margin=neg_margin).mean()
    assert value.item() == pytest.approx(naive(unit_distances(embeddings), y, pos_margin, neg_margin))


# pytorch-metric-learning 2.9.0, ContrastiveLoss(pos_margin, neg_margin)
@pytest.mark.parametrize(
    ("sizes", "margins", "expected"),
    [
        ((4, 4, 4, 4), (0.0, 1.0), (1.63808057705, -0.082701800841, 0.291301117024)),
        ((5, 2, 3), (0.0, 1.0), (1.72948410485, -0.123837690284, 0.868608525168)),
        ((4, 4, 4, 4), (0.2, 0.9), (1.51987700931, -0.0232011709713, 0.346916159031)),
        ((5, 2, 3), (0.2, 0.9), (1.42948410485, -0.123837690284, 0.868608525168)),
    ],
)
def test_agrees_with_the_peer(sizes, margins, expected, measured):
    found = measured(contrastive, sizes, pos_margin=margins[0], neg_margin=margins[1])
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    wanted = naive(unit_distances(embeddings), y, 0.1, 1.2, mask)
    value = contrastive(embeddings, y, pos_margin=0.1, neg_margin=1.2, pairs=keeping(mask)).mean()
    assert value.item() == pytest.approx(wanted)


def test_takes_another_distance(waves):
    embeddings, y = waves(4, 3)
    value = contrastive(embeddings, y, neg_margin=2.0, distance=torch.cdist).mean()
    assert value.item() == pytest.approx(naive(torch.cdist(embeddings, embeddings).tolist(), y, 0.0, 2.0))


def test_is_zero_where_all_pairs_keep_their_margins():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]], requires_grad=True)
    values = contrastive(embeddings, torch.tensor([0, 0, 1, 1]), pos_margin=0.2, neg_margin=1.5)
    values.sum().backward()
    assert (values == 0).all()
    assert (embeddings.grad == 0).all()


def test_a_negative_on_the_anchor_costs_the_whole_margin():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    assert_close(contrastive(embeddings, torch.tensor([0, 1]), neg_margin=0.7), torch.tensor([0.7, 0.7]).double())


def test_has_the_gradient_of_its_value_to_the_second_order(waves):
    embeddings, y = waves(3, 2, 1)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: contrastive(e, y, pos_margin=0.2, neg_margin=1.5), embeddings)
