"""Dot: in loops; longer is nearer; normalized it is the cosine distance less one."""

import torch
from torch.testing import assert_close

from sklearnloss.distances.cosine import cosine
from sklearnloss.distances.dot import dot


def test_equals_the_formula_in_plain_loops(vectors):
    a, b = vectors
    wanted = [[-sum(p * q for p, q in zip(x, y, strict=True)) for y in b.tolist()] for x in a.tolist()]
    assert_close(dot(a, b), torch.tensor(wanted, dtype=torch.float64))


def test_a_longer_vector_is_nearer(vectors):
    a, _ = vectors
    assert (dot(a, 2 * a).diagonal() < dot(a, a).diagonal()).all()


def test_of_unit_vectors_it_is_the_cosine_distance_less_one(vectors):
    assert_close(dot(*vectors, normalize=True), cosine(*vectors) - 1)


def test_has_the_gradient_of_its_value(vectors):
    assert torch.autograd.gradcheck(dot, tuple(v.requires_grad_() for v in vectors))
