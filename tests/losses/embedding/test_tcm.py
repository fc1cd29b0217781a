"""Threshold-consistent margin: worked numbers, the formula in loops, the peer's numbers, idle pairs, its miner."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.tcm import tcm


def naive(embeddings, y, pos_margin, neg_margin, kept=None):
    """The two means."""
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    n = len(y)
    pull, push = [], []
    for i in range(n):
        for j in range(n):
            if i == j or (kept is not None and not kept[i, j]):
                continue
            s = sum(p * q for p, q in zip(unit[i], unit[j], strict=True))
            if y[i] == y[j] and s <= pos_margin:
                pull.append(pos_margin - s)
            if y[i] != y[j] and s >= neg_margin:
                push.append(s - neg_margin)
    return sum(pull) / max(1, len(pull)), sum(push) / max(1, len(push))


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize(("pos_margin", "neg_margin"), [(0.9, 0.5), (0.2, -0.3)])
def test_equals_the_formula_in_plain_loops(sizes, pos_margin, neg_margin, waves):
    embeddings, y = waves(*sizes)
    pull, push = naive(embeddings, y, pos_margin, neg_margin)
    value = tcm(embeddings, y, pos_margin=pos_margin, neg_margin=neg_margin, pos_weight=2.0, neg_weight=0.5).mean()
    assert value.item() == pytest.approx(2 * pull + 0.5 * push)


# pytorch-metric-learning 2.9.0, ThresholdConsistentMarginLoss(pos_weight, neg_weight, pos_margin, neg_margin)
@pytest.mark.parametrize(
    ("sizes", "params", "expected"),
    [
        ((4, 4, 4, 4), (1.0, 1.0, 0.9, 0.5), (1.04789494226, -0.0301496035254, 0.247771770656)),
        ((5, 2, 3), (1.0, 1.0, 0.9, 0.5), (1.12125647908, -0.0283839528429, 0.539185405682)),
        ((4, 4, 4, 4), (2.0, 0.5, 0.7, 0.2), (1.50957322626, 0.0787912740732, 0.460097272242)),
        ((5, 2, 3), (2.0, 0.5, 0.7, 0.2), (1.60849790161, 0.000894786276225, 0.746896361679)),
    ],
)
def test_agrees_with_the_peer(sizes, params, expected, measured):
    names = ("pos_weight", "neg_weight", "pos_margin", "neg_margin")
    found = measured(tcm, sizes, **dict(zip(names, params, strict=True)))
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def around_one_anchor(positives, negatives):
    """Row 0 has these cosines with the others."""
    rows = [(1.0, 0.0)] + [(s, math.sqrt(1 - s * s)) for s in (*positives, *negatives)]
    labels = [0] * (1 + len(positives)) + [1] * len(negatives)
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(labels)


def test_gives_the_worked_number(keeping):
    embeddings, y = around_one_anchor((0.95, 0.7, 0.5), (0.6, 0.2))
    mask = torch.zeros(6, 6, dtype=torch.bool)
    mask[0] = True  # the pairs of the first anchor only
    assert tcm(embeddings, y, pairs=keeping(mask)).mean().item() == pytest.approx(0.3 + 0.1)


def test_is_zero_where_all_pairs_are_on_their_side():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]], requires_grad=True)
    values = tcm(embeddings, torch.tensor([0, 0, 1, 1]))
    values.sum().backward()
    assert (values == 0).all()
    assert (embeddings.grad == 0).all()


def test_a_pair_on_its_side_does_not_matter(keeping):
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[0] = True
    values = [tcm(*around_one_anchor((sure, 0.5), (0.6,)), pairs=keeping(mask)).mean() for sure in (0.91, 0.99)]
    assert_close(*values)


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    assert tcm(embeddings, y, pairs=keeping(mask)).mean().item() == pytest.approx(
        sum(naive(embeddings, y, 0.9, 0.5, mask))
    )


def test_has_the_gradient_of_its_value_to_the_second_order(waves):
    embeddings, y = waves(3, 2, 1)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: tcm(e, y, neg_margin=-0.3), embeddings)
