"""Neighborhood components: the formula in loops, the peer's numbers, SupCon, its limits, its miner."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.nca import nca
from sklearnloss.losses.embedding.supcon import supcon


def naive(embeddings, y, tau, kept=None):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    n = len(y)
    values, valid = [], []
    for i in range(n):
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        weights = {j: math.exp(-(math.dist(unit[i], unit[j]) ** 2) / tau) for j in chosen}
        own = sum(w for j, w in weights.items() if y[j] == y[i])
        values.append(-math.log(own / sum(weights.values())) if own else 0.0)
        valid.append(float(own > 0))
    return torch.tensor(values, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_equals_the_formula_in_plain_loops(sizes, tau, waves):
    embeddings, y = waves(*sizes)
    assert_close(nca(embeddings, y, tau=tau), naive(embeddings, y, tau))


# pytorch-metric-learning 2.9.0, NCALoss(softmax_scale=1 / tau)
@pytest.mark.parametrize(
    ("sizes", "tau", "expected"),
    [
        ((4, 4, 4, 4), 1.0, (1.79770682664, 0.240563166404, 0.341116008122)),
        ((5, 2, 3), 1.0, (1.37799165448, -0.0638229520761, 0.875854588352)),
        ((4, 4, 4, 4), 0.25, (3.98951156076, 1.2268896525, 1.85642311507)),
        ((5, 2, 3), 0.25, (2.89849853712, 0.367372543819, 3.75771006469)),
    ],
)
def test_agrees_with_the_peer(sizes, tau, expected, measured):
    found = measured(nca, sizes, tau=tau)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_is_supcon_where_each_anchor_has_one_positive_and_less_where_it_has_more(waves):
    embeddings, y = waves(2, 2, 2)
    assert_close(nca(embeddings, y, tau=0.6), supcon(embeddings, y, tau=0.3))
    embeddings, y = waves(4, 4)
    assert (nca(embeddings, y, tau=0.6)[0] < supcon(embeddings, y, tau=0.3)[0]).all()


def test_is_zero_without_negatives_or_without_positives(waves):
    embeddings, _ = waves(4)
    values, valid = nca(embeddings, torch.zeros(4, dtype=torch.long))
    assert_close(values, torch.zeros(4).double())
    assert valid.tolist() == [1, 1, 1, 1]
    values, valid = nca(embeddings, torch.arange(4))
    assert (values == 0).all()
    assert (valid == 0).all()


def test_one_near_row_of_the_class_is_enough():
    rows = [[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]
    values, _ = nca(torch.tensor(rows), torch.tensor([0, 0, 0, 1]), tau=0.05)
    assert values[0] < 1e-6


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    assert_close(nca(embeddings, y, tau=0.5, pairs=keeping(mask)), naive(embeddings, y, 0.5, mask))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: nca(e, y, tau=0.5)[0], embeddings)
