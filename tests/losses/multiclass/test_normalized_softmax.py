import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss import LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.normalized_softmax import normalized_softmax


def simplex(k):
    """Unit vectors at the corners of a simplex, (k, k)."""
    return normalize(torch.eye(k, dtype=torch.float64) - 1 / k, dim=1)


@pytest.mark.parametrize("scale", [1.0, 20.0, 64.0])
def test_equals_the_formula_in_plain_loops(sphere, cosine, loops, scale):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    assert_close(normalized_softmax(cosines, y, scale=scale), loops(cosines, y, scale, lambda c, i: c))


def test_is_the_logarithm_of_the_number_of_classes_at_a_scale_of_nothing(sphere, cosine):
    embeddings, proxies, y = sphere(k=7)
    values = normalized_softmax(cosine(embeddings, proxies), y, scale=1e-12)
    assert_close(values, torch.full_like(values, math.log(7)))


@pytest.mark.parametrize(("k", "scale"), [(2, 3.0), (5, 8.0)])
def test_is_least_where_rows_lie_on_their_proxies_and_those_are_a_simplex(k, scale):
    proxies, y = simplex(k), torch.arange(k)
    least = math.log1p((k - 1) * math.exp(-scale * k / (k - 1)))
    values = normalized_softmax(proxies @ proxies.T, y, scale=scale)
    assert_close(values, torch.full_like(values, least))
    generator = torch.Generator().manual_seed(0)
    for size in (1e-2, 0.3, 3.0):  # nothing near or far is better
        moved = normalize(proxies + size * torch.randn(k, k, generator=generator, dtype=torch.float64), dim=1)
        weights = normalize(proxies + size * torch.randn(k, k, generator=generator, dtype=torch.float64), dim=1)
        assert normalized_softmax(moved @ weights.T, y, scale=scale).mean() > least


def test_keeps_a_floor_that_no_cosine_goes_below():
    value = normalized_softmax(torch.tensor([[1.0, -1.0, -1.0]], dtype=torch.float64), torch.tensor([0]), scale=2.0)
    assert value.item() == pytest.approx(math.log1p(2 * math.exp(-4)))


def test_does_not_see_lengths_and_pushes_at_right_angles(sphere, cosine):
    embeddings, proxies, y = sphere()
    values = normalized_softmax(cosine(embeddings, proxies), y)
    assert_close(normalized_softmax(cosine(3 * embeddings, 0.1 * proxies), y), values)
    leaf = embeddings.clone().requires_grad_()
    normalized_softmax(cosine(leaf, proxies), y).sum().backward()
    assert_close((leaf.grad * embeddings).sum(1), torch.zeros_like(values), atol=1e-12, rtol=0)
    assert leaf.grad.norm(dim=1).min() > 0


def test_has_the_gradient_of_its_value(sphere, cosine):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: normalized_softmax(c, y), cosines)


def test_trains_by_name_and_its_link_is_the_softmax_that_it_learns():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("normalized_softmax", max_epochs=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    wanted = torch.softmax(20 * torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_classes_it_never_saw_are_told_by_the_mean_of_ten_of_their_rows(seed):
    X, y = load_digits(return_X_y=True)
    known = y < 7
    model = MetricEmbedder("normalized_softmax", embedding_dim=32, max_epochs=8, random_state=seed)
    found, labels = model.fit(X[known], y[known]).transform(X[~known]), y[~known]
    ten = {c: np.flatnonzero(labels == c)[:10] for c in (7, 8, 9)}
    centers = np.stack([found[rows].mean(0) / np.linalg.norm(found[rows].mean(0)) for rows in ten.values()])
    rest = np.setdiff1d(np.arange(len(labels)), np.concatenate([*ten.values()]))
    told = 7 + (found[rest] @ centers.T).argmax(1)
    assert np.mean(told == labels[rest]) > 0.75
