"""Cosine: against torch, blind to lengths, zero vectors."""

import torch
from torch.testing import assert_close

from sklearnloss.distances.cosine import cosine


def test_equals_one_less_the_cosine_of_torch(vectors):
    a, b = vectors
    assert_close(cosine(a, b), 1 - torch.cosine_similarity(a[:, None], b[None], dim=2))


def test_does_not_see_the_length(vectors):
    a, b = vectors
    assert_close(cosine(1e-6 * a, 1e6 * b), cosine(a, b))


def test_a_zero_vector_is_at_one_from_all(degenerate):
    leaf = degenerate.clone().requires_grad_()
    found = cosine(leaf, degenerate)
    found.sum().backward()
    assert (found[:2] == 1).all()
    assert leaf.grad.isfinite().all()


def test_has_the_gradient_of_its_value(vectors):
    assert torch.autograd.gradcheck(cosine, tuple(v.requires_grad_() for v in vectors))
