import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.vectors import distances, squared_distances, unit_rows


def rows(n, d=4, seed=0, offset=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64, generator=generator) + offset


def naive(a, b):
    return torch.tensor([[math.dist(p, q) for q in b.tolist()] for p in a.tolist()], dtype=torch.float64)


def test_rows_are_divided_by_their_length():
    x = rows(5)
    assert_close(unit_rows(x), x / x.square().sum(1, keepdim=True).sqrt())
    assert torch.autograd.gradcheck(unit_rows, x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_row_of_zeros_stays_and_has_no_gradient(dtype):
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=dtype, requires_grad=True)
    unit = unit_rows(x)
    (gradient,) = torch.autograd.grad((unit * torch.tensor([1.0, 5.0], dtype=dtype)).sum(), x)
    assert unit.dtype == dtype
    assert unit[0].tolist() == gradient[0].tolist() == [0, 0]
    assert torch.isfinite(gradient).all()
    assert gradient[1].abs().max() > 0


def test_distances_are_those_of_plain_loops():
    a, b = rows(5), rows(3, seed=1)
    assert_close(distances(a, b), naive(a, b))
    assert_close(squared_distances(a, b), naive(a, b).square())
    assert torch.autograd.gradcheck(distances, (a.requires_grad_(), b.requires_grad_()))


def test_a_far_common_offset_costs_few_digits():
    a = rows(6).float()
    assert_close(distances(a + 1000, a + 1000), naive(a + 1000, a + 1000).float(), atol=2e-3, rtol=1e-3)


def test_equal_rows_have_a_finite_gradient():
    x = torch.ones(3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(distances(x, x).sum(), x)
    assert torch.isfinite(gradient).all()


def test_half_precision_is_computed_in_float32_under_autocast_too():
    a = rows(6, offset=3.0).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = squared_distances(a, a)
    assert found.dtype == torch.float32
    assert_close(found, naive(a, a).square().float(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [1e-13, 1e-20, 1e-22, 1e-40])
def test_a_vector_too_short_to_have_a_direction_counts_as_zeros(length):
    x = torch.full((2, 4), length, requires_grad=True)
    unit_rows(x).sum().backward()
    assert unit_rows(x).abs().sum() == x.grad.abs().sum() == 0.0
