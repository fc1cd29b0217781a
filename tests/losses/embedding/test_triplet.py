"""Triplet: the formula in loops, a search as well as passes, miners of every kind, its limits."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.pairs import Kept, Mined, Window
from sklearnloss.losses.embedding import triplet as module
from sklearnloss.losses.embedding.triplet import triplet


def naive(embeddings, y, margin, *, smooth=False, active=True, kept=lambda i, j, k: True):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    n, totals, counts = len(y), [], []
    for i in range(n):
        terms = []
        for j in range(n):
            for k in range(n):
                if j == i or y[j] != y[i] or y[k] == y[i] or not kept(i, j, k):
                    continue
                gap = math.dist(unit[i], unit[j]) - math.dist(unit[i], unit[k]) + margin
                terms.append(math.log1p(math.exp(gap)) if smooth else max(0.0, gap))
        totals.append(sum(terms))
        counts.append(float(sum(t > 0 for t in terms) if active else len(terms)))
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(counts, dtype=torch.float64)


@pytest.fixture(params=["passes", "search"])
def method(request, monkeypatch):
    """Whether positives are few or many."""
    monkeypatch.setattr(module, "FEW", 12 if request.param == "passes" else 0)


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("margin", [0.0, 0.05, 0.6])
def test_equals_the_formula_in_plain_loops(sizes, margin, waves):
    embeddings, y = waves(*sizes)
    assert_close(triplet(embeddings, y, margin=margin), naive(embeddings, y, margin))


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("active", [False, True])
def test_its_options_equal_the_formula_in_plain_loops(smooth, active, waves):
    embeddings, y = waves(4, 2, 3)
    wanted = naive(embeddings, y, 0.1, smooth=smooth, active=active)
    assert_close(triplet(embeddings, y, margin=0.1, smooth=smooth, active=active), wanted)


# pytorch-metric-learning 2.9.0, TripletMarginLoss(margin=0.2) after TripletMarginMiner(margin=0.2, "semihard")
@pytest.mark.usefixtures("method")
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((4, 4, 4, 4), (0.0949105382308, 0.148529891526, 0.167373299207)),
        ((5, 2, 3), (0.117622794146, -0.00193706705572, 0.327724171449)),
    ],
)
def test_agrees_with_the_peer_on_semihard_triplets(sizes, expected, measured):
    semihard = Mined(lambda _: Kept(triplets=Window(0.0, 0.2)), unit="window")
    found = measured(triplet, sizes, margin=0.2, pairs=semihard)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


@pytest.mark.usefixtures("method")
def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    wanted = naive(embeddings, y, 0.3, kept=lambda i, j, k: mask[i, j] and mask[i, k])
    assert_close(triplet(embeddings, y, margin=0.3, pairs=keeping(mask)), wanted)


@pytest.mark.parametrize("active", [False, True])
def test_keeps_the_triplets_of_a_miner(active, waves, coins):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9, 9)
    mined = Mined(
        lambda block: Kept(triplets=mask[block.rows].gather(1, block.partners[:, :, None].expand(-1, -1, 9))),
        unit="triplet",
    )
    wanted = naive(embeddings, y, 0.3, active=active, kept=lambda i, j, k: bool(mask[i, j, k]))
    assert_close(triplet(embeddings, y, margin=0.3, active=active, pairs=mined), wanted)


@pytest.mark.usefixtures("method")
def test_a_window_that_reaches_beyond_the_margin_ends_there(waves):
    embeddings, y = waves(4, 3, 2)
    narrow, wide = (Mined(lambda _, h=h: Kept(triplets=Window(-0.1, h)), unit="window") for h in (0.2, 9.0))
    assert_close(triplet(embeddings, y, margin=0.2, pairs=wide), triplet(embeddings, y, margin=0.2, pairs=narrow))


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize(("low", "margin"), [(0.1, 0.05), (0.0, 0.0), (0.3, 0.3)])
def test_a_window_beyond_the_margin_holds_no_triplet_that_costs_anything(low, margin, waves):
    embeddings, y = waves(4, 3, 2)
    embeddings = torch.cat([embeddings, embeddings])  # ties of positives and negatives
    beyond = Mined(lambda _: Kept(triplets=Window(low, 0.9)), unit="window")
    totals, counts = triplet(embeddings, torch.cat([y, y.roll(1)]), margin=margin, pairs=beyond)
    assert totals.tolist() == counts.tolist() == [0.0] * 18


def test_is_zero_where_every_positive_is_nearer_than_every_negative():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
    totals, counts = triplet(embeddings, torch.tensor([0, 0, 1, 1]), margin=0.0)
    assert (totals == 0).all()
    assert (counts == 0).all()


def test_takes_another_distance(waves):
    embeddings, y = waves(3, 3)
    totals, _ = triplet(embeddings, y, margin=0.1, distance=torch.cdist)
    d = torch.cdist(embeddings, embeddings).tolist()
    wanted = [
        sum(max(0.0, d[i][j] - d[i][k] + 0.1) for j in range(6) for k in range(6) if y[j] == y[i] != y[k] and i != j)
        for i in range(6)
    ]
    assert_close(totals, torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("params", [{}, {"smooth": True}, {"active": False}])
def test_has_the_gradient_of_its_value_to_the_second_order(params, waves):
    embeddings, y = waves(3, 2, 1)
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: triplet(e, y, margin=0.2, **params)[0], embeddings)
    assert torch.autograd.gradgradcheck(lambda e: triplet(e, y, margin=0.2, **params)[0], embeddings)
