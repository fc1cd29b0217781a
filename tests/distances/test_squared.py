"""Squared: in loops, and against Euclidean and cosine."""

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.distances.cosine import cosine
from sklearnloss.distances.euclidean import euclidean
from sklearnloss.distances.squared import squared


@pytest.mark.parametrize("normalize", [True, False])
def test_is_the_square_of_the_euclidean_distance(vectors, normalize):
    assert_close(squared(*vectors, normalize=normalize), euclidean(*vectors, normalize=normalize).square())


def test_equals_the_formula_in_plain_loops(vectors):
    a, b = vectors
    wanted = [[sum((p - q) ** 2 for p, q in zip(x, y, strict=True)) for y in b.tolist()] for x in a.tolist()]
    assert_close(squared(a, b, normalize=False), torch.tensor(wanted, dtype=torch.float64))


def test_is_twice_the_cosine_distance_of_unit_vectors(vectors):
    assert_close(squared(*vectors), 2 * cosine(*vectors))


def test_has_the_gradient_of_its_value(vectors):
    a, b = (v.requires_grad_() for v in vectors)
    assert torch.autograd.gradcheck(lambda a, b: squared(a, b, normalize=False), (a, b))


def test_is_never_negative_for_duplicates():
    a = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 1000
    assert (squared(a, a, normalize=False) >= 0).all()
