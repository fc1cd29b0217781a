import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.expectile import expectile

GAPS = torch.tensor([-7.0, -2.0, -0.3, 0.0, 0.2, 1.5, 40.0], dtype=torch.float64)


def value(gaps=GAPS, **params):
    """Return the loss of predictions that are too high by the gaps."""
    return expectile(gaps[:, None] + 3, torch.full((len(gaps), 1), 3.0, dtype=torch.float64), **params)[:, 0]


def best(level, y):
    """Return the constant at which the expected loss of outcomes y has no slope."""
    low, high = y.min(), y.max()
    for _ in range(60):
        point = ((low + high) / 2).requires_grad_()
        (slope,) = torch.autograd.grad(expectile(point.expand(len(y), 1), y[:, None], level=level).sum(), point)
        low, high = (low, point.detach()) if slope > 0 else (point.detach(), high)
    return low


def normal_outcomes(n=20_001):
    return torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)


def test_odds_of_three_bound_a_normal_outcome_by_the_worked_number():
    assert best(0.25, normal_outcomes()) == pytest.approx(-0.436327, abs=1e-3)
    assert best(0.75, normal_outcomes()) == pytest.approx(0.436327, abs=1e-3)


def test_one_half_is_half_the_squared_error():
    assert_close(value(), GAPS.square() / 2)


def test_the_best_constant_rises_with_the_level_and_follows_the_units():
    y = torch.tensor([0.0, 1.0, 4.0, 9.0], dtype=torch.float64)
    points = [float(best(level, y)) for level in (0.05, 0.25, 0.5, 0.75, 0.95)]
    assert points == sorted(points)
    assert points[2] == pytest.approx(3.5)
    assert float(best(0.75, 10 - 3 * y)) == pytest.approx(10 - 3 * points[1])


def test_keeps_every_digit_of_the_level():
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    assert expectile(zero, one, level=0.1).item() == 0.1
    assert expectile(one, zero, level=0.1).item() == 0.9
