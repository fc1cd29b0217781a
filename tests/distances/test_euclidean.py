"""Euclidean: in loops, against the frame's own, duplicates, vectors far from the origin."""

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.distances.euclidean import euclidean
from sklearnloss.losses.embedding.contrastive import contrastive
from sklearnloss.losses.embedding.triplet import triplet


@pytest.mark.parametrize("normalize", [True, False])
def test_equals_the_formula_in_plain_loops(vectors, normalize):
    a, b = vectors
    found = euclidean(a, b, normalize=normalize)
    for i in range(5):
        for j in range(7):
            x, y = (v / v.norm() if normalize else v for v in (a[i], b[j]))
            assert float(found[i, j]) == pytest.approx(float((x - y).norm()))


@pytest.mark.parametrize("loss", [triplet, contrastive])
def test_is_what_losses_compare_by_without_a_distance(vectors, loss):
    embeddings, y = torch.cat(vectors).requires_grad_(), torch.arange(12) % 3
    results = []
    for distance in (None, euclidean):
        totals = loss(embeddings, y, distance=distance)
        totals = totals[0] if isinstance(totals, tuple) else totals
        results.append((totals, *torch.autograd.grad(totals.sum(), embeddings)))
    for own, given in zip(*results, strict=True):
        assert_close(given, own)


@pytest.mark.parametrize("normalize", [True, False])
def test_has_the_gradient_of_its_value(vectors, normalize):
    a, b = (v.requires_grad_() for v in vectors)
    assert torch.autograd.gradcheck(lambda a, b: euclidean(a, b, normalize=normalize), (a, b))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_duplicates_are_at_zero_and_pull_nowhere(dtype):
    a = torch.tensor([[1.0, 2.0, 3.0]], dtype=dtype).expand(3, 3).clone().requires_grad_()
    found = euclidean(a, a.detach())
    found.sum().backward()
    assert (found == 0).all()
    assert (a.grad == 0).all()


def test_the_gradient_of_near_duplicates_is_bounded():
    a = torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    for step in torch.logspace(-9, 0, 40):
        leaf = (a + step * torch.ones(64) / 8).requires_grad_()
        euclidean(leaf, a, normalize=False).sum().backward()
        assert leaf.grad.norm() < 2


def test_digits_are_kept_far_from_the_origin():
    near = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    assert_close(euclidean(near + 1e5, near + 1e5, normalize=False), euclidean(near, near, normalize=False))
