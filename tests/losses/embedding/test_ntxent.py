"""NT-Xent: the formula in loops, two views, its limits, its miner."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize
from torch.testing import assert_close

from sklearnloss.losses.embedding.ntxent import ntxent


def naive(embeddings, y, tau, kept=None):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    n = len(y)
    totals, counts = [], []
    for i in range(n):
        s = [sum(p * q for p, q in zip(unit[i], other, strict=True)) / tau for other in unit]
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        rivals = sum(math.exp(s[k]) for k in chosen if y[k] != y[i])
        terms = [math.log(1 + rivals / math.exp(s[j])) for j in chosen if y[j] == y[i]]
        totals.append(sum(terms))
        counts.append(float(len(terms)))
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(counts, dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("tau", [0.07, 1.0])
def test_equals_the_formula_in_plain_loops(sizes, tau, waves):
    embeddings, y = waves(*sizes)
    assert_close(ntxent(embeddings, y, tau=tau), naive(embeddings, y, tau))


def test_is_the_loss_of_simclr_on_two_views(waves):
    embeddings, _ = waves(8)
    y = torch.arange(4).repeat(2)
    unit = normalize(embeddings, dim=1)
    logits = (unit @ unit.T / 0.3).fill_diagonal_(-math.inf)
    totals, counts = ntxent(embeddings, y, tau=0.3)
    assert_close(counts, torch.ones(8).double())
    assert_close(totals, cross_entropy(logits, (torch.arange(8) + 4) % 8, reduction="none"))


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    assert_close(ntxent(embeddings, y, tau=0.5, pairs=keeping(mask)), naive(embeddings, y, 0.5, mask))


def test_is_the_log_of_one_and_the_negatives_for_equal_embeddings():
    totals, counts = ntxent(torch.ones(7, 3), torch.tensor([0, 0, 0, 1, 1, 1, 1]))
    assert_close(totals / counts, torch.tensor([math.log(5)] * 3 + [math.log(4)] * 4))


def test_is_zero_without_negatives():
    totals, counts = ntxent(torch.eye(3), torch.zeros(3, dtype=torch.long))
    assert (totals == 0).all()
    assert_close(counts, torch.full((3,), 2.0))


def test_stays_exact_where_a_positive_is_almost_sure():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    totals, _ = ntxent(embeddings, torch.tensor([0, 0, 1]), tau=0.05)
    assert_close(totals[0].item(), math.exp(-40.0), rtol=1e-9, atol=0)


def test_has_the_gradient_of_its_value_to_the_second_order(waves):
    embeddings, y = waves(3, 2, 1)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: ntxent(e, y, tau=0.5)[0], embeddings)
