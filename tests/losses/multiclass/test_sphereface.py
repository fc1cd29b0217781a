import itertools
import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy, normalize
from torch.testing import assert_close

from sklearnloss import LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.sphereface import sphereface


def psi(cosine, factor):
    angle = factor * math.acos(max(-1.0, min(1.0, cosine)))
    turns = math.floor(angle / math.pi)
    return (-1) ** turns * math.cos(angle) - 2 * turns


def target(cosine, factor):
    """Recover psi from the loss against one other class of cosine zero."""
    row = torch.tensor([[cosine, 0.0]], dtype=torch.float64)
    value = sphereface(row, torch.tensor([0]), scale=1.0, factor=factor).item()
    return -math.log(math.expm1(value))


@pytest.mark.parametrize("scale", [1.0, 16.0])
@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 2.7, 4.0])
def test_equals_the_formula_in_plain_loops(sphere, cosine, loops, scale, factor):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    found = sphereface(cosines, y, scale=scale, factor=factor)
    assert_close(found, loops(cosines, y, scale, lambda c, i: psi(c, factor)))


@pytest.mark.parametrize(
    ("factor", "wanted"),
    [
        (2, [11.559741771668339, 8.738986511785694, 8.098071054368793, 14.305731329252547, 2.731322803613512]),
        (4, [25.533318310333094, 19.61704376848159, 19.830390210364992, 28.987774758584877, 8.714092954470432]),
    ],
)
def test_equals_the_peer_where_the_scale_of_a_row_is_its_length(sphere, cosine, factor, wanted):
    # pytorch_metric_learning.losses.SphereFaceLoss(4, 5, margin=factor, scale=1), 2.9.0, with W = proxies.T, takes the
    # length of each embedding for its scale, as the paper does, and whole factors only
    embeddings, proxies, y = sphere()
    cosines, lengths = cosine(embeddings, proxies), embeddings.norm(dim=1)
    for i, value in enumerate(wanted):
        found = sphereface(cosines[i : i + 1], y[i : i + 1], scale=lengths[i].item(), factor=float(factor))
        assert found.item() == pytest.approx(value, rel=1e-9)


def test_is_the_normalized_softmax_at_a_factor_of_one(sphere, cosine):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    assert_close(sphereface(cosines, y, scale=10.0, factor=1.0), cross_entropy(10 * cosines, y, reduction="none"))


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 3.3, 4.0])
def test_the_target_falls_over_all_angles_without_a_step(factor):
    values = [target(math.cos(angle), factor) for angle in torch.linspace(0, math.pi, 401).tolist()]
    falls = [earlier - later for earlier, later in itertools.pairwise(values)]
    assert min(falls) > 0
    assert max(falls) < 1.01 * factor * math.pi / 400  # the slope is nowhere above the factor


@pytest.mark.parametrize("factor", [1.5, 2.0, 4.0])
def test_is_never_below_the_loss_without_margin(sphere, cosine, factor):
    embeddings, proxies, y = sphere(60)
    cosines = cosine(embeddings, proxies)
    assert (sphereface(cosines, y, factor=factor) >= sphereface(cosines, y, factor=1.0)).all()


def test_has_the_gradient_of_its_value(sphere, cosine):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: sphereface(c, y, scale=5.0, factor=2.3), cosines)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_is_finite_at_the_poles_and_beyond(dtype, factor):
    cosines = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0000001, 0.0], [-1.0000001, 0.0]], dtype=dtype)
    cosines.requires_grad_()
    values = sphereface(cosines, torch.zeros(4, dtype=torch.int64), scale=64.0, factor=factor)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert cosines.grad.isfinite().all()
    assert target(-1.0, factor) == pytest.approx(psi(-1.0, factor), abs=1e-6)


@pytest.mark.parametrize("factor", [1.5, 2.0, 4.0])
def test_the_slope_at_a_cosine_of_one_is_the_square_of_the_factor(factor):
    slopes = {}
    for true in (1.0, 1 - 1e-9):
        row = torch.tensor([[true, 0.0]], dtype=torch.float64, requires_grad=True)
        value = sphereface(row, torch.tensor([0]), scale=1.0, factor=factor)
        value.sum().backward()
        slopes[true] = row.grad[0, 0].item() / (math.exp(-value.item()) - 1)  # by the slope of the cross entropy
    assert slopes[1.0] == pytest.approx(factor**2)
    assert slopes[1 - 1e-9] == pytest.approx(factor**2, rel=1e-5)


def test_the_gradient_of_an_embedding_stays_bounded_near_its_proxy_and_opposite_to_it():
    proxies = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    for angle in (1e-2, 1e-4, 1e-6, math.pi - 1e-6, math.pi - 1e-3):
        embedding = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64, requires_grad=True)
        sphereface(normalize(embedding, dim=1) @ proxies.T, torch.tensor([0]), scale=8.0, factor=2.5).backward()
        assert embedding.grad.norm() < 8 * 2.5 + 8


@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_trains_by_name_and_predicts_without_margin(factor):
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("sphereface", max_epochs=15, random_state=0).set_params(loss__factor=factor).fit(X, y)
    assert model.score(X, y) > 0.93
    wanted = torch.softmax(16 * torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("sphereface", embedding_dim=16, max_epochs=6, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
