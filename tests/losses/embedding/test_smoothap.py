"""Smooth-AP: the formula in loops, the peer's numbers where it is right, average precision as its limit, its miner."""

import math

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss.functional.pairs import Extra, Kept, Mined
from sklearnloss.losses.embedding.smoothap import smoothap


def naive(embeddings, y, tau, kept=None):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    n = len(y)
    values, valid = [], []
    for i in range(n):
        s = [sum(p * q for p, q in zip(unit[i], other, strict=True)) for other in unit]
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        own = [j for j in chosen if y[j] == y[i]]

        def rank(j, among, s=s):
            return 1 + sum(1 / (1 + math.exp(-(s[k] - s[j]) / tau)) for k in among if k != j)

        values.append(1 - sum(rank(j, own) / rank(j, chosen) for j in own) / len(own) if own else 0.0)
        valid.append(float(bool(own)))
    return torch.tensor(values, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("tau", [0.01, 0.3])
def test_equals_the_formula_in_plain_loops(sizes, tau, waves):
    embeddings, y = waves(*sizes)
    assert_close(smoothap(embeddings, y, tau=tau), naive(embeddings, y, tau))


# pytorch-metric-learning 2.9.0, SmoothAPLoss(temperature=tau): right only where there are as many classes as rows in
# each, one class behind the other. It ranks the anchor too; here that is a batch compared with a copy of itself
@pytest.mark.parametrize(
    ("tau", "expected"),
    [
        (0.01, (0.466630654923, 0.00492946734776, 0.253123511414)),
        (0.2, (0.567049364516, 0.0154395152306, 0.0667179150541)),
    ],
)
def test_agrees_with_the_peer_where_the_anchor_is_ranked_too(tau, expected, measured):
    def with_itself(embeddings, y):
        n = len(y)
        among_copies = Mined(
            lambda block: Kept((torch.arange(2 * n) >= n).expand(block.values.shape)), extra=(Extra(embeddings, y),)
        )
        return smoothap(embeddings, y, tau=tau, pairs=among_copies)

    assert_close(measured(with_itself, (4, 4, 4, 4)), torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_tends_to_one_less_the_average_precision(waves):
    embeddings, y = waves(4, 3, 2)
    unit = normalize(embeddings, dim=1)
    s, others = unit @ unit.T, ~torch.eye(9, dtype=torch.bool)
    wanted = [1 - average_precision_score((y == y[i])[others[i]], s[i][others[i]]) for i in range(9)]
    values, _ = smoothap(embeddings, y, tau=1e-5)
    assert_close(values, torch.tensor(wanted, dtype=torch.float64))


def test_is_zero_without_negatives_and_does_not_count_without_positives():
    values, valid = smoothap(torch.eye(3), torch.zeros(3, dtype=torch.long))
    assert_close(values, torch.zeros(3))
    assert valid.tolist() == [1, 1, 1]
    values, valid = smoothap(torch.eye(3), torch.arange(3))
    assert (values == 0).all()
    assert (valid == 0).all()


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    assert_close(smoothap(embeddings, y, tau=0.1, pairs=keeping(mask)), naive(embeddings, y, 0.1, mask))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: smoothap(e, y, tau=0.2)[0], embeddings)
