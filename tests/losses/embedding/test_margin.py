"""Margin: the formula in loops, the peer's numbers, its limits, miners of every kind, another distance."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.pairs import Kept, Mined, Window
from sklearnloss.losses.embedding.margin import margin as margin_loss


def naive(distances, y, margin, beta, kept=lambda i, j, k: True):
    n, totals, counts = len(y), [], []
    for i in range(n):
        terms = []
        for j in range(n):
            for k in range(n):
                if j != i and y[j] == y[i] != y[k] and kept(i, j, k):
                    terms += [max(0.0, margin + distances[i][j] - beta), max(0.0, margin - distances[i][k] + beta)]
        totals.append(sum(terms))
        counts.append(float(sum(t > 0 for t in terms)))
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(counts, dtype=torch.float64)


def unit_distances(embeddings):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    return [[math.dist(a, b) for b in unit] for a in unit]


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize(("margin", "beta"), [(0.2, 1.2), (0.0, 0.8)])
def test_equals_the_formula_in_plain_loops(sizes, margin, beta, waves):
    embeddings, y = waves(*sizes)
    found = margin_loss(embeddings, y, margin=margin, beta=beta)
    assert_close(found, naive(unit_distances(embeddings), y, margin, beta))


# pytorch-metric-learning 2.9.0, MarginLoss(margin=margin, beta=beta)
@pytest.mark.parametrize(
    ("sizes", "margin", "beta", "expected"),
    [
        ((4, 4, 4, 4), 0.2, 1.2, (0.44459259697, 0.0375698830453, 0.110639279374)),
        ((5, 2, 3), 0.2, 1.2, (0.399997477351, 0.00531864798919, 0.190862984001)),
        ((4, 4, 4, 4), 0.3, 0.9, (0.666765990641, 0.0123626102221, 0.131015568004)),
        ((5, 2, 3), 0.3, 0.9, (0.671126500071, -0.0493946013675, 0.228160080573)),
    ],
)
def test_agrees_with_the_peer(sizes, margin, beta, expected, measured):
    found = measured(margin_loss, sizes, margin=margin, beta=beta)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_is_zero_where_all_pairs_are_on_their_side():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]], requires_grad=True)
    totals, counts = margin_loss(embeddings, torch.tensor([0, 0, 1, 1]))
    totals.sum().backward()
    assert (totals == 0).all()
    assert (counts == 0).all()
    assert (embeddings.grad == 0).all()


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    wanted = naive(unit_distances(embeddings), y, 0.2, 1.2, lambda i, j, k: mask[i, j] and mask[i, k])
    assert_close(margin_loss(embeddings, y, pairs=keeping(mask)), wanted)


def test_keeps_the_triplets_of_a_miner(waves, coins):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9, 9)
    mined = Mined(
        lambda block: Kept(triplets=mask[block.rows].gather(1, block.partners[:, :, None].expand(-1, -1, 9))),
        unit="triplet",
    )
    wanted = naive(unit_distances(embeddings), y, 0.2, 1.2, lambda i, j, k: bool(mask[i, j, k]))
    assert_close(margin_loss(embeddings, y, pairs=mined), wanted)


def test_keeps_the_window_of_a_miner(waves):
    embeddings, y = waves(4, 3, 2)
    d = unit_distances(embeddings)
    wanted = naive(d, y, 0.2, 1.2, lambda i, j, k: 0 < d[i][k] - d[i][j] < 0.3)
    semihard = Mined(lambda _: Kept(triplets=Window(0.0, 0.3)), unit="window")
    assert_close(margin_loss(embeddings, y, pairs=semihard), wanted)


def test_takes_another_distance(waves):
    embeddings, y = waves(4, 3)
    wanted = naive(torch.cdist(embeddings, embeddings).tolist(), y, 0.2, 1.2)
    assert_close(margin_loss(embeddings, y, distance=torch.cdist), wanted)


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: margin_loss(e, y)[0], embeddings)
