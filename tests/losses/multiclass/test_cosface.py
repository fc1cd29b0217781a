import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy, one_hot
from torch.testing import assert_close

from sklearnloss import LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.cosface import cosface


@pytest.mark.parametrize(("scale", "margin"), [(1.0, 0.0), (16.0, 0.35), (64.0, 1.5)])
def test_equals_the_formula_in_plain_loops(sphere, cosine, loops, scale, margin):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    found = cosface(cosines, y, scale=scale, margin=margin)
    assert_close(found, loops(cosines, y, scale, lambda c, i: c - margin))


def test_gives_the_worked_number():
    row = torch.tensor([[0.8, 0.1]], dtype=torch.float64)
    assert cosface(row, torch.tensor([0]), scale=10.0, margin=0.35).item() == pytest.approx(0.029750, abs=1e-6)


def test_is_the_normalized_softmax_without_margin(sphere, cosine):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    assert_close(cosface(cosines, y, scale=9.0, margin=0.0), cross_entropy(9 * cosines, y, reduction="none"))


def test_a_cosine_larger_by_the_margin_makes_up_for_it(sphere, cosine):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    ahead = cosines + 0.4 * one_hot(y, 4)
    assert_close(cosface(ahead, y, margin=0.4), cosface(cosines, y, margin=0.0))


@pytest.mark.parametrize("margin", [0.1, 0.35, 2.0])
def test_is_never_below_the_loss_without_margin(sphere, cosine, margin):
    embeddings, proxies, y = sphere(60)
    cosines = cosine(embeddings, proxies)
    assert (cosface(cosines, y, margin=margin) > cosface(cosines, y, margin=0.0)).all()


def test_has_the_gradient_of_its_value(sphere, cosine):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: cosface(c, y, scale=5.0), cosines)


def test_trains_by_name_and_predicts_without_margin():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("cosface", max_epochs=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    wanted = torch.softmax(16 * torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("cosface", embedding_dim=16, max_epochs=6, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
