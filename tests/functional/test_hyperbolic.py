import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.hyperbolic import hyperbolic_distances, poincare_distances


def tangents(n=6, d=3, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def in_ball(x):
    length = x.norm(dim=1, keepdim=True)
    return torch.tanh(length / 2) * x / length


def naive(points):
    """Return the distances in the ball by the formula with the inverse hyperbolic cosine."""

    def distance(u, v):
        apart = sum((a - b) ** 2 for a, b in zip(u, v, strict=True))
        room = (1 - sum(a * a for a in u)) * (1 - sum(b * b for b in v))
        return math.acosh(1 + 2 * apart / room)

    return torch.tensor([[distance(u, v) for v in points.tolist()] for u in points.tolist()], dtype=torch.float64)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 4.0])
def test_distances_are_those_of_the_poincare_ball(factor):
    x = factor * tangents()
    assert_close(hyperbolic_distances(x), naive(in_ball(x)), atol=1e-6, rtol=1e-5)
    assert_close(torch.tensor(poincare_distances(in_ball(x))), naive(in_ball(x)), atol=1e-6, rtol=1e-5)


def test_the_length_of_a_vector_is_the_distance_from_the_origin_up_to_twelve():
    x = torch.tensor([[0.0, 0.0], [0.3, 0.4], [-3.0, 4.0], [0.0, 200.0]])
    assert_close(hyperbolic_distances(x)[0, 1:], torch.tensor([0.5, 5.0, 12.0]).double(), atol=1e-5, rtol=0)


def test_distances_do_not_see_a_rotation_and_obey_the_triangle_inequality():
    x = 2 * tangents(n=9)
    far = hyperbolic_distances(x)
    rotation = torch.linalg.qr(tangents(3, 3, seed=1)).Q
    assert_close(hyperbolic_distances(x @ rotation), far, atol=1e-6, rtol=0)
    assert (far[:, None, :] <= far[:, :, None] + far[None] + 1e-6).all()


def test_small_distances_are_twice_those_in_the_flat_ball():
    points = 1e-4 * tangents()
    assert_close(torch.tensor(poincare_distances(points)), 2 * torch.cdist(points, points), atol=0, rtol=1e-4)


def test_gradients_agree_with_differences_at_the_origin_too():
    x = tangents(n=4)
    x[0] = 0
    off = ~torch.eye(4, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda x: hyperbolic_distances(x)[off], x.requires_grad_())


@pytest.mark.parametrize(
    "rows", [[[0.0, 0.0]] * 3, [[1.0, 1.0]] * 3, [[200.0, -200.0], [200.0, -200.0], [-200.0, 1.0]]]
)
def test_equal_and_long_vectors_have_a_finite_gradient(rows):
    x = torch.tensor(rows, requires_grad=True)
    far = hyperbolic_distances(x)
    (gradient,) = torch.autograd.grad(far.sum(), x)
    assert torch.isfinite(far).all()
    assert torch.isfinite(gradient).all()
    assert far.diagonal().max() < 1e-2


def test_a_point_on_the_border_is_refused():
    with pytest.raises(ValueError, match=r"points must lie inside the ball, got a row of length 1 \(row 1\)"):
        poincare_distances(np.array([[0.1, 0.0], [1.0, 0.0]]))
