import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.arcface import arcface
from sklearnloss.losses.multiclass.subcenter_arcface import nearest_softmax, subcenter_arcface


def widened(cosine, margin):
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    return math.cos(angle + margin) if angle + margin < math.pi else cosine - margin * math.sin(margin)


@pytest.fixture
def cosines(sphere, cosine):
    """Cosines with three proxies of each of four classes (12, 12), and labels."""
    embeddings, proxies, y = sphere(k=12)
    return cosine(embeddings, proxies), y % 4


@pytest.mark.parametrize(("scale", "margin"), [(4.0, 0.0), (16.0, 0.5), (16.0, 1.5)])
def test_equals_the_formula_in_plain_loops(cosines, loops, scale, margin):
    cosines, y = cosines
    nearest = torch.stack([cosines[:, 3 * c : 3 * c + 3].amax(1) for c in range(4)], 1)
    wanted = loops(nearest, y, scale, lambda c, i: widened(c, margin))
    assert_close(subcenter_arcface(cosines, y, scale=scale, margin=margin), wanted)


@pytest.mark.parametrize("gradient", ["exact", "straight_through"])
def test_is_arcface_with_one_proxy_or_with_equal_ones(cosines, gradient):
    cosines, y = cosines[0][:, :4], cosines[1]
    wanted = arcface(cosines, y, gradient=gradient)
    assert_close(subcenter_arcface(cosines, y, centers_per_class=1, gradient=gradient), wanted)
    copies = cosines.repeat_interleave(5, dim=1)
    assert_close(subcenter_arcface(copies, y, centers_per_class=5, gradient=gradient), wanted)


def test_gives_the_worked_number():
    # on its proxy, against another class at 56 / 64, the loss is log(1 + exp(56 - 56.165284))
    row = torch.tensor([[0.1, 1.0, 0.875, -0.3]], dtype=torch.float64)
    value = subcenter_arcface(row, torch.tensor([0]), centers_per_class=2, scale=64.0, margin=0.5).item()
    assert value == pytest.approx(math.log1p(math.exp(56 - 56.165284)), abs=1e-6)


def test_is_the_normalized_softmax_without_margin_and_with_one_proxy(cosines):
    cosines, y = cosines[0][:, :4], cosines[1]
    found = subcenter_arcface(cosines, y, centers_per_class=1, margin=0.0, scale=7.0)
    assert_close(found, cross_entropy(7 * cosines, y, reduction="none"))


def test_is_never_below_the_loss_without_margin(cosines):
    cosines, y = cosines
    assert (subcenter_arcface(cosines, y) >= subcenter_arcface(cosines, y, margin=0.0)).all()


@pytest.mark.parametrize("equal", [False, True])
def test_only_the_nearest_proxy_of_a_class_has_a_gradient(cosines, equal):
    cosines, y = cosines
    cosines = torch.full_like(cosines, 0.2) if equal else cosines
    leaf = cosines.clone().requires_grad_()
    subcenter_arcface(leaf, y).sum().backward()
    moved = leaf.grad.view(12, 4, 3) != 0
    assert (moved.sum(2) == 1).all()
    if not equal:
        assert (moved.int().argmax(2) == cosines.view(12, 4, 3).argmax(2)).all()


@pytest.mark.parametrize(("true", "ratio"), [(0.9, 1.87), (0.5, 1.15)])
def test_the_exact_gradient_is_larger_by_the_ratio_of_sines(true, ratio):
    gradients, values = {}, {}
    for kind in ("exact", "straight_through"):
        row = torch.tensor([[0.1, true, 0.3, -0.2]], dtype=torch.float64, requires_grad=True)
        value = subcenter_arcface(row, torch.tensor([0]), centers_per_class=2, margin=0.5, gradient=kind)
        value.backward()
        gradients[kind], values[kind] = row.grad[0], value.item()
    assert values["exact"] == values["straight_through"]
    quotient = (gradients["exact"][1] / gradients["straight_through"][1]).item()
    assert quotient == pytest.approx(math.sin(math.acos(true) + 0.5) / math.sin(math.acos(true)))
    assert quotient == pytest.approx(ratio, abs=0.01)
    assert_close(gradients["exact"][2:], gradients["straight_through"][2:])


def test_has_the_gradient_of_its_value(cosines):
    cosines, y = cosines
    assert torch.autograd.gradcheck(lambda c: subcenter_arcface(c, y, scale=5.0), cosines.requires_grad_())


def test_the_link_is_the_softmax_of_the_nearest_proxies():
    row = torch.tensor([[0.2, 0.9, 0.1, -0.3]], dtype=torch.float64)
    wanted = torch.softmax(torch.tensor([[4 * 0.9, 4 * 0.1]], dtype=torch.float64), 1)
    assert_close(nearest_softmax(row, scale=4.0, centers_per_class=2), wanted)


def test_trains_by_name_with_as_many_proxies_as_it_asks_for():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(Loss("subcenter_arcface", centers_per_class=2), max_epochs=10, random_state=0).fit(X, y)
    assert model.net_.module_.head.weight.shape == (20, 100)
    assert model.score(X, y) > 0.95
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    np.testing.assert_array_equal(model.predict_proba(X), model.decision_function(X))


def test_two_classes_have_probabilities_too():
    X, y = load_digits(n_class=2, return_X_y=True)
    model = LossClassifier("subcenter_arcface", max_epochs=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    np.testing.assert_array_equal(model.predict_proba(X)[:, 1] > 0.5, model.predict(X) == 1)


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("subcenter_arcface", embedding_dim=16, max_epochs=6, random_state=0).fit(X[::2], y[::2])
    assert model.net_.criterion_.terms[0].head.weight.shape == (30, 16)
    assert model.score(X[1::2], y[1::2]) > 0.9
