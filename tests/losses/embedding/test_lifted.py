"""Lifted structure: the formula in loops, the peer's numbers, hinge and limits, its miner, another distance."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.lifted import lifted


def naive(distances, y, margin, kept=None):
    n = len(y)
    values, valid = [], []
    for i in range(n):
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        far = sum(math.exp(distances[i][j]) for j in chosen if y[j] == y[i])
        near = sum(math.exp(margin - distances[i][k]) for k in chosen if y[k] != y[i])
        both = far > 0 and near > 0
        values.append(max(0.0, math.log(far) + math.log(near)) if both else 0.0)
        valid.append(float(both))
    return torch.tensor(values, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


def unit_distances(embeddings):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    return [[math.dist(a, b) for b in unit] for a in unit]


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_equals_the_formula_in_plain_loops(sizes, margin, waves):
    embeddings, y = waves(*sizes)
    assert_close(lifted(embeddings, y, margin=margin), naive(unit_distances(embeddings), y, margin))


# pytorch-metric-learning 2.9.0, GeneralizedLiftedStructureLoss(neg_margin, pos_margin), margin their difference;
# every anchor has a positive and a negative
@pytest.mark.parametrize(
    ("sizes", "margin", "expected"),
    [
        ((4, 4, 4, 4), 1.0, (4.7129496222, 0.0299154190941, 0.186798078681)),
        ((5, 2, 3), 1.0, (3.7534563876, -0.0780874929174, 0.421098542047)),
        ((4, 4, 4, 4), 0.5, (4.2129496222, 0.0299154190941, 0.186798078681)),
        ((5, 2, 3), 0.5, (3.2534563876, -0.0780874929174, 0.421098542047)),
    ],
)
def test_agrees_with_the_peer(sizes, margin, expected, measured):
    found = measured(lifted, sizes, margin=margin)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_is_the_hinge_of_a_triplet_for_one_positive_and_one_negative():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    values, valid = lifted(embeddings, torch.tensor([0, 0, 1]), margin=0.3)
    assert_close(values[0].item(), math.sqrt(2) - math.sqrt(0.4) + 0.3)
    assert valid.tolist() == [1, 1, 0]


def test_costs_nothing_where_negatives_are_far_enough():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    values, valid = lifted(embeddings, torch.tensor([0, 0, 1]), margin=1.0)
    values.sum().backward()
    assert (values == 0).all()
    assert valid.tolist() == [1, 1, 0]
    assert (embeddings.grad == 0).all()


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    assert_close(lifted(embeddings, y, pairs=keeping(mask)), naive(unit_distances(embeddings), y, 1.0, mask))


def test_takes_another_distance(waves):
    embeddings, y = waves(4, 3)
    wanted = naive(torch.cdist(embeddings, embeddings).tolist(), y, 1.0)
    assert_close(lifted(embeddings, y, distance=torch.cdist), wanted)


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: lifted(e, y)[0], embeddings)
