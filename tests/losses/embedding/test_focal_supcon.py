"""Focal SupCon: the formula in loops, SupCon without its weights, constant weights, its limits, its miner."""

import math

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss.losses.embedding.focal_supcon import focal_supcon
from sklearnloss.losses.embedding.supcon import supcon


def naive(embeddings, y, tau, *, weigh=lambda p: 1 - p, kept=None):
    unit, n = normalize(embeddings, dim=1), len(y)
    values = []
    for i in range(n):
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        odds = {j: torch.exp(unit[i] @ unit[j] / tau) for j in chosen}
        p = [odds[j] / sum(odds.values()) for j in chosen if y[j] == y[i]]
        values.append(sum(-weigh(q) * q.log() for q in p) / max(1, len(p)) + 0 * embeddings.sum())
    return torch.stack(values)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("tau", [0.07, 1.0])
def test_equals_the_formula_in_plain_loops(sizes, tau, waves):
    embeddings, y = waves(*sizes)
    values, valid = focal_supcon(embeddings, y, tau=tau)
    assert_close(values, naive(embeddings, y, tau))
    assert_close(valid, (torch.tensor(sizes) > 1)[y].double())


def test_is_supcon_without_its_weights(waves):
    embeddings, y = waves(4, 3, 2)
    assert_close(naive(embeddings, y, 0.3, weigh=lambda p: 1.0), supcon(embeddings, y, tau=0.3)[0])
    assert (focal_supcon(embeddings, y, tau=0.3)[0] < supcon(embeddings, y, tau=0.3)[0]).all()


def test_weights_are_constants_to_the_gradient_if_detached(waves):
    embeddings, y = waves(4, 3, 2)
    embeddings.requires_grad_()
    for weights in (torch.ones(9).double(), torch.arange(9.0).double()):
        values, _ = focal_supcon(embeddings, y, tau=0.3, detach=True)
        wanted = naive(embeddings, y, 0.3, weigh=lambda p: 1 - p.item())
        assert_close(values, wanted)
        found = [torch.autograd.grad((weights * v).sum(), embeddings)[0] for v in (values, wanted)]
        assert_close(*found)


def test_is_zero_with_one_row_a_class_and_with_one_other_row():
    values, valid = focal_supcon(torch.eye(4), torch.arange(4))
    assert (values == 0).all()
    assert (valid == 0).all()
    values, valid = focal_supcon(torch.eye(2), torch.zeros(2, dtype=torch.long))
    assert (values == 0).all()
    assert (valid == 1).all()


def test_is_the_weighted_log_of_the_others_for_equal_embeddings():
    values, _ = focal_supcon(torch.ones(6, 3), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert_close(values, torch.full((6,), 0.8 * math.log(5)))


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    values, _ = focal_supcon(embeddings, y, tau=0.3, pairs=keeping(mask))
    assert_close(values, naive(embeddings, y, 0.3, kept=mask))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: focal_supcon(e, y, tau=0.5)[0], embeddings)
