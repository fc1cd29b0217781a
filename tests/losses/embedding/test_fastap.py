"""FastAP: the formula in loops, the peer's numbers, the average precision as its limit, its miner."""

import math

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.testing import assert_close

from sklearnloss.losses.embedding.fastap import fastap


def naive(embeddings, y, bins, kept=None):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    n, nodes = len(y), [4 * r / bins for r in range(bins + 1)]
    values, valid = [], []
    for i in range(n):
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        at = {j: [max(0.0, 1 - abs(math.dist(unit[i], unit[j]) ** 2 - t) * bins / 4) for t in nodes] for j in chosen}
        own = [sum(at[j][r] for j in chosen if y[j] == y[i]) for r in range(bins + 1)]
        everyone = [sum(at[j][r] for j in chosen) for r in range(bins + 1)]
        count = sum(bool(y[j] == y[i]) for j in chosen)
        terms = [own[r] * sum(own[: r + 1]) / sum(everyone[: r + 1]) for r in range(bins + 1) if own[r] > 0]
        values.append(1 - sum(terms) / count if count else 0.0)
        valid.append(float(count > 0))
    return torch.tensor(values, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("bins", [1, 10, 33])
def test_equals_the_formula_in_plain_loops(sizes, bins, waves):
    embeddings, y = waves(*sizes)
    assert_close(fastap(embeddings, y, bins=bins), naive(embeddings, y, bins))


# pytorch-metric-learning 2.9.0, FastAPLoss(num_bins=bins)
@pytest.mark.parametrize(
    ("sizes", "bins", "expected"),
    [
        ((4, 4, 4, 4), 10, (0.745799941621, 0.0497818042726, 0.114356329086)),
        ((5, 2, 3), 10, (0.571880714019, -0.0396680033888, 0.236884795748)),
        ((4, 4, 4, 4), 25, (0.733954934902, -0.0476311370189, 0.269642377201)),
        ((5, 2, 3), 25, (0.564912176903, -0.0589091007718, 0.552355334336)),
    ],
)
def test_agrees_with_the_peer(sizes, bins, expected, measured):
    found = measured(fastap, sizes, bins=bins)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_is_one_less_the_average_precision_where_rows_lie_at_nodes_of_their_own():
    angles = torch.tensor([0.0, 60.0, 90.0, 120.0], dtype=torch.float64).deg2rad()
    values, _ = fastap(torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([0, 0, 1, 0]), bins=4)
    precision = average_precision_score([1, 0, 1], [0.5, 0.0, -0.5])
    assert values[0].item() == pytest.approx(1 - precision)


def test_is_zero_without_negatives_and_does_not_count_without_positives():
    values, valid = fastap(torch.eye(3), torch.zeros(3, dtype=torch.long))
    assert_close(values, torch.zeros(3))
    assert valid.tolist() == [1, 1, 1]
    values, valid = fastap(torch.eye(3), torch.arange(3))
    assert (values == 0).all()
    assert (valid == 0).all()


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    assert_close(fastap(embeddings, y, pairs=keeping(mask)), naive(embeddings, y, 10, mask))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: fastap(e, y)[0], embeddings)
