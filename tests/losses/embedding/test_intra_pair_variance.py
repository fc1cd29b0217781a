"""Intra-pair variance: the formula in loops, the peer's numbers, constant means, its limits, its miner."""

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss.losses.embedding.intra_pair_variance import intra_pair_variance


def naive(embeddings, y, pos_eps, neg_eps, kept=None, detach=True):
    """The reduced value."""
    unit, n = normalize(embeddings, dim=1), len(y)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j and (kept is None or kept[i, j])]
    positives = torch.stack([unit[i] @ unit[j] for i, j in pairs if y[i] == y[j]])
    negatives = torch.stack([unit[i] @ unit[j] for i, j in pairs if y[i] != y[j]])
    low, high = (1 - pos_eps) * positives.mean(), (1 + neg_eps) * negatives.mean()
    if detach:
        low, high = low.detach(), high.detach()
    return (low - positives).clamp_min(0).square().mean() + (negatives - high).clamp_min(0).square().mean()


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("eps", [(0.01, 0.01), (0.3, 0.7)])
def test_equals_the_formula_in_plain_loops_in_value_and_gradient(sizes, eps, detach, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    value = intra_pair_variance(embeddings, y, pos_eps=eps[0], neg_eps=eps[1], detach=detach).mean()
    wanted = naive(embeddings, y, *eps, detach=detach)
    assert_close(value, wanted)
    assert_close(*(torch.autograd.grad(v, embeddings)[0] for v in (value, wanted)))


# pytorch-metric-learning 2.9.0, IntraPairVarianceLoss(pos_eps, neg_eps); its gradient goes through the means
@pytest.mark.parametrize(
    ("sizes", "eps", "expected"),
    [
        ((4, 4, 4, 4), (0.01, 0.01), (0.176607272531, 0.00393648733225, 0.0747416402262)),
        ((5, 2, 3), (0.01, 0.01), (0.173762021968, 0.0565770989394, 0.131129676377)),
        ((4, 4, 4, 4), (0.1, 0.2), (0.170705568536, -5.40583264937e-06, 0.0801720878483)),
        ((5, 2, 3), (0.1, 0.2), (0.171780348379, 0.0535564392863, 0.128720127484)),
    ],
)
def test_agrees_with_the_peer(sizes, eps, expected, measured):
    found = measured(intra_pair_variance, sizes, pos_eps=eps[0], neg_eps=eps[1], detach=False)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-14)


def test_is_zero_where_all_positives_and_all_negatives_are_alike():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    assert_close(intra_pair_variance(embeddings, torch.tensor([0, 0, 1, 1])), torch.zeros(4).double())


@pytest.mark.parametrize("y", [(0, 0, 0), (0, 1, 2)])
def test_one_kind_of_pairs_is_enough(y):
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]], dtype=torch.float64)
    cosines = torch.tensor([0.0, 0.8, 0.6], dtype=torch.float64)
    below = cosines.mean() * 0.99 - cosines if y == (0, 0, 0) else cosines - cosines.mean() * 1.01
    value = intra_pair_variance(embeddings, torch.tensor(y)).mean()
    assert_close(value, below.clamp_min(0).square().mean())


@pytest.mark.parametrize("detach", [False, True])
def test_keeps_the_pairs_of_a_miner(detach, waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    value = intra_pair_variance(embeddings, y, detach=detach, pairs=keeping(mask)).mean()
    assert_close(value, naive(embeddings, y, 0.01, 0.01, mask))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order_if_not_detached(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: intra_pair_variance(e, y, detach=False), embeddings)
