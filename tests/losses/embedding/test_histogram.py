"""Histogram: the formula in loops, the peer's numbers, order of the pairs alone, its limits, its miner."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.histogram import histogram


def naive(embeddings, y, bins, kept=None):
    """The reduced value."""
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    n, nodes = len(y), [2 * r / bins - 1 for r in range(bins + 1)]
    positives, negatives = [], []
    for i in range(n):
        for j in range(n):
            if i != j and (kept is None or kept[i, j]):
                s = sum(p * q for p, q in zip(unit[i], unit[j], strict=True))
                (positives if y[i] == y[j] else negatives).append(s)
    if not positives or not negatives:
        return 0.0

    def shares(cosines):
        return [sum(max(0.0, 1 - abs(s - t) * bins / 2) for s in cosines) / len(cosines) for t in nodes]

    high, low = shares(positives), shares(negatives)
    return sum(low[r] * sum(high[: r + 1]) for r in range(bins + 1))


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("bins", [1, 7, 100])
def test_equals_the_formula_in_plain_loops(sizes, bins, waves):
    embeddings, y = waves(*sizes)
    assert histogram(embeddings, y, bins=bins).mean().item() == pytest.approx(naive(embeddings, y, bins))


# pytorch-metric-learning 2.9.0, HistogramLoss(n_bins=bins)
@pytest.mark.parametrize(
    ("sizes", "bins", "expected"),
    [
        ((4, 4, 4, 4), 100, (0.497063465191, 0.0931407297003, 0.163216312552)),
        ((5, 2, 3), 100, (0.44481860229, -0.0288499497228, 0.489667815599)),
        ((4, 4, 4, 4), 20, (0.519249747292, 0.0987647403703, 0.155919975558)),
        ((5, 2, 3), 20, (0.475571140405, 0.0687145917948, 0.392391596717)),
    ],
)
def test_agrees_with_the_peer(sizes, bins, expected, measured):
    found = measured(histogram, sizes, bins=bins)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


@pytest.mark.parametrize(("rows", "value"), [([[1.0, 0], [1, 0], [-1, 0]], 0.0), ([[1.0, 0], [-1, 0], [1, 0]], 1.0)])
def test_is_zero_or_one_where_all_negatives_are_less_or_more_similar(rows, value, keeping):
    mask = torch.zeros(3, 3, dtype=torch.bool)
    mask[0] = True
    values = histogram(torch.tensor(rows), torch.tensor([0, 0, 1]), pairs=keeping(mask))
    assert values.mean().item() == pytest.approx(value)


def test_tends_to_the_share_of_pairs_in_wrong_order(waves):
    embeddings, y = waves(4, 3, 2)
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    s, same = unit @ unit.T, y[:, None] == y
    high, low = s[same & ~torch.eye(9, dtype=torch.bool)], s[~same]
    wanted = (low[:, None] > high).double().mean()
    assert histogram(embeddings, y, bins=20_000).mean().item() == pytest.approx(wanted.item(), abs=1e-3)


@pytest.mark.parametrize("y", [(0, 0, 0), (0, 1, 2)])
def test_is_zero_without_negatives_or_without_positives(y):
    embeddings = torch.eye(3, requires_grad=True)
    values = histogram(embeddings, torch.tensor(y))
    values.sum().backward()
    assert (values == 0).all()
    assert (embeddings.grad == 0).all()


def test_duplicates_and_opposites_fall_into_the_outer_bins():
    embeddings = torch.tensor([[3.0, 1.0], [3.0, 1.0], [-3.0, -1.0], [0.3, 0.1]]).repeat(9, 1)
    values = histogram(embeddings, torch.tensor([0, 0, 1, 0]).repeat(9), bins=10)
    assert values.mean().item() == pytest.approx(0.0, abs=1e-6)


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    value = histogram(embeddings, y, bins=10, pairs=keeping(mask)).mean()
    assert value.item() == pytest.approx(naive(embeddings, y, 10, mask))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: histogram(e, y, bins=7), embeddings)
