import itertools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from sklearnloss.functional.angles import (
    elastic_margins,
    straight_through,
    target_cross_entropy,
    true_cosines,
    turned,
    widened,
)

COSINES = torch.linspace(-0.999, 0.999, 41, dtype=torch.float64)


@pytest.mark.parametrize("angle", [-4.0, -0.3, 0.0, 0.5, 2.0])
def test_turned_is_the_cosine_of_the_sum(angle):
    assert_close(turned(COSINES, angle), (COSINES.acos() + angle).cos())


def test_turned_takes_an_angle_for_each_row():
    angles = torch.linspace(-1, 1, 41, dtype=torch.float64)
    assert_close(turned(COSINES, angles), (COSINES.acos() + angles).cos())


@pytest.mark.parametrize("margin", [0.0, 0.3, 1.5, 3.0])
def test_widened_is_turned_until_pi_and_a_straight_line_beyond(margin):
    wanted = [
        math.cos(math.acos(c) + margin) if math.acos(c) + margin < math.pi else c - margin * math.sin(margin)
        for c in COSINES.tolist()
    ]
    assert_close(widened(COSINES, margin), torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("margin", [0.0, 0.3, 1.5, 2.33])
def test_widened_falls_over_all_angles(margin):
    cosines = torch.linspace(0, math.pi, 301, dtype=torch.float64).cos()
    values = widened(cosines, margin).tolist()
    assert all(later < earlier for earlier, later in itertools.pairwise(values))


def test_a_negative_margin_widens_nothing_and_has_no_straight_line():
    assert_close(widened(COSINES, -0.4), (COSINES.acos() - 0.4).cos())


def test_digits_are_kept_near_a_cosine_of_one():
    # the angle of a cosine of 1 - e is sqrt(2 e), which the square of the cosine does not tell in float32
    near = torch.tensor(1 - 2**-20, dtype=torch.float32)
    wanted = math.cos(math.acos(float(near)) + 0.5)
    assert turned(near, 0.5).item() == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_poles_and_what_rounding_puts_beyond_them_are_finite(dtype):
    cosines = torch.tensor([1.0, -1.0, 1.0000001, -1.0000001], dtype=dtype, requires_grad=True)
    for function in (turned, widened):
        (gradient,) = torch.autograd.grad(function(cosines, 0.5).sum(), cosines)
        assert gradient.isfinite().all()
    assert turned(cosines, 0.5).dtype == dtype


@pytest.mark.parametrize("function", [turned, widened])
def test_has_the_gradient_of_its_value(function):
    assert torch.autograd.gradcheck(lambda c: function(c, 0.7), COSINES.clone().requires_grad_())


def test_straight_through_has_the_value_of_one_and_the_gradient_of_the_other():
    source = COSINES.clone().requires_grad_()
    found = straight_through(widened(source, 0.5), source)
    assert_close(found, widened(COSINES, 0.5))
    found.sum().backward()
    assert_close(source.grad, torch.ones_like(COSINES))


def test_the_target_takes_the_place_of_the_true_cosine():
    cosines, y = COSINES[:12].view(4, 3), torch.tensor([0, 2, 1, 0])
    assert_close(true_cosines(cosines, y)[:, 0], torch.stack([cosines[i, c] for i, c in enumerate(y.tolist())]))
    logits = cosines.clone()
    for i, label in enumerate(y.tolist()):
        logits[i, label] = 0.1 * i
    target = 0.1 * torch.arange(4, dtype=torch.float64)[:, None]
    found = target_cross_entropy(cosines, y, target, 7.0)
    assert_close(found, cross_entropy(7 * logits, y, reduction="none"))


@pytest.mark.parametrize("by_distance", [False, True])
def test_elastic_margins_go_by_the_rank_of_the_cosine(by_distance):
    true = torch.tensor([[0.1], [0.8], [-0.3], [0.5]], dtype=torch.float64)
    draws = torch.randn(4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draws = draws.sort().values if by_distance else draws
    rng = torch.Generator().manual_seed(0)
    found = elastic_margins(true, rng, margin=0.3, sigma=0.1, by_distance=by_distance)
    assert_close(found[[1, 3, 0, 2], 0], 0.3 + 0.1 * draws)
