"""Angular: the formula in loops, the peer's numbers, the triangle itself, its limits, its miner."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.angular import angular


def naive(embeddings, y, angle, kept=None):
    unit = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    n, t = len(y), math.tan(angle) ** 2
    s = [[sum(p * q for p, q in zip(a, b, strict=True)) for b in unit] for a in unit]
    totals, counts = [], []
    for i in range(n):
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        terms = [
            math.log(
                1 + sum(math.exp(4 * t * (s[i][k] + s[j][k]) - 2 * (1 + t) * s[i][j]) for k in chosen if y[k] != y[i])
            )
            for j in chosen
            if y[j] == y[i]
        ]
        totals.append(sum(terms))
        counts.append(float(len(terms)))
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(counts, dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("angle", [math.radians(40), 1.2])
def test_equals_the_formula_in_plain_loops(sizes, angle, waves):
    embeddings, y = waves(*sizes)
    assert_close(angular(embeddings, y, angle=angle), naive(embeddings, y, angle))


# pytorch-metric-learning 2.9.0, AngularLoss(degrees) on unit vectors: of others it forgets to normalize the negatives
@pytest.mark.parametrize(
    ("sizes", "degrees", "expected"),
    [
        ((4, 4, 4, 4), 40, (4.00688447479, 0.229645550059, 0.616817487957)),
        ((5, 2, 3), 40, (2.97294883883, 0.0881830962029, 1.48325095047)),
        ((4, 4, 4, 4), 30, (2.89459729903, 0.175353690004, 0.486594061589)),
        ((5, 2, 3), 30, (2.04701435802, 0.00392706023559, 0.867662101275)),
    ],
)
def test_agrees_with_the_peer(sizes, degrees, expected, measured):
    found = measured(angular, sizes, angle=math.radians(degrees))
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_the_exponent_is_that_of_the_triangle_less_what_is_constant_for_unit_vectors():
    # the angle is within its bound where |a - p| <= 2 tan(bound) |n - (a + p) / 2|
    a, p, bound = torch.tensor([0.6, 0.8]).double(), torch.tensor([-0.6, 0.8]).double(), 0.5
    n = torch.tensor([1.0, 0.0]).double()
    t = math.tan(bound) ** 2
    f = (a - p).square().sum() - 4 * t * (n - (a + p) / 2).square().sum()
    constants = 2 - 4 * t * 1.5  # |a|^2 + |p|^2 - 4 t (|n|^2 + (|a|^2 + |p|^2) / 4)
    totals, _ = angular(torch.stack([a, p, n]), torch.tensor([0, 0, 1]), angle=bound)
    assert_close(totals[0], torch.nn.functional.softplus(f - constants))


def test_is_zero_without_negatives_or_without_positives():
    for y, count in ((torch.zeros(3, dtype=torch.long), 2), (torch.arange(3), 0)):
        totals, counts = angular(torch.eye(3), y)
        assert (totals == 0).all()
        assert (counts == count).all()


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    assert_close(angular(embeddings, y, pairs=keeping(mask)), naive(embeddings, y, math.radians(40), mask))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: angular(e, y)[0], embeddings)
