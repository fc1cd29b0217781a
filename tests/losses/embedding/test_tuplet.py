"""Tuplet margin: the formula in loops, the peer's numbers, NT-Xent without a margin, angles of zero, its miner."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.ntxent import ntxent
from sklearnloss.losses.embedding.tuplet import tuplet


def naive(embeddings, y, margin, scale, kept=None):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    n = len(y)
    totals, counts = [], []
    for i in range(n):
        c = [sum(p * q for p, q in zip(unit[i], other, strict=True)) for other in unit]
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        terms = []
        for j in (j for j in chosen if y[j] == y[i]):
            eased = math.cos(math.acos(c[j]) - margin)
            terms.append(math.log(1 + sum(math.exp(scale * (c[k] - eased)) for k in chosen if y[k] != y[i])))
        totals.append(sum(terms))
        counts.append(float(len(terms)))
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(counts, dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize(("margin", "scale"), [(0.1, 64.0), (0.5, 4.0)])
def test_equals_the_formula_in_plain_loops(sizes, margin, scale, waves):
    embeddings, y = waves(*sizes)
    assert_close(tuplet(embeddings, y, margin=margin, scale=scale), naive(embeddings, y, margin, scale))


# pytorch-metric-learning 2.9.0, TupletMarginLoss(margin=math.degrees(margin), scale=scale)
@pytest.mark.parametrize(
    ("sizes", "margin", "scale", "expected"),
    [
        ((4, 4, 4, 4), 0.1, 64.0, (43.221074642, 0.376311740077, 16.0053294382)),
        ((5, 2, 3), 0.1, 64.0, (30.6916554061, 6.57400000557, 33.1643547322)),
        ((4, 4, 4, 4), 0.4, 16.0, (7.07694179398, 0.853522913782, 3.49263146317)),
        ((5, 2, 3), 0.4, 16.0, (4.27370712088, 0.281339663405, 5.95152638518)),
    ],
)
def test_agrees_with_the_peer(sizes, margin, scale, expected, measured):
    found = measured(tuplet, sizes, margin=margin, scale=scale)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_is_ntxent_without_a_margin(waves):
    embeddings, y = waves(4, 2, 3)
    assert_close(tuplet(embeddings, y, margin=0.0, scale=10.0), ntxent(embeddings, y, tau=0.1))


def test_a_margin_eases_the_positives_that_are_farther_than_it(waves):
    embeddings, y = waves(4, 2, 3)
    assert (tuplet(embeddings, y, margin=0.1)[0] < tuplet(embeddings, y, margin=0.0)[0]).all()


def test_a_positive_on_the_anchor_counts_with_the_cosine_of_the_margin():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    totals, _ = tuplet(embeddings, torch.tensor([0, 0, 1]), margin=0.5, scale=2.0)
    assert totals[0].item() == pytest.approx(math.log(1 + math.exp(-2 * math.cos(0.5))), abs=1e-7)
    totals.sum().backward()
    assert embeddings.grad.isfinite().all()


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    found = tuplet(embeddings, y, scale=8.0, pairs=keeping(mask))
    assert_close(found, naive(embeddings, y, 0.1, 8.0, mask))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: tuplet(e, y, margin=0.2, scale=4.0)[0], embeddings)
