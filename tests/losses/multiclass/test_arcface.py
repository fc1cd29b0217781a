import itertools
import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.arcface import arcface


def batch(n=20, k=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    embeddings = F.normalize(torch.randn(n, 4, generator=generator, dtype=dtype), dim=1)
    proxies = F.normalize(torch.randn(k, 4, generator=generator, dtype=dtype), dim=1)
    return embeddings @ proxies.T, torch.arange(n) % k


def widened(cosine, margin):
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    return math.cos(angle + margin) if angle + margin < math.pi else cosine - margin * math.sin(margin)


def naive(cosines, y, scale, margin):
    values = []
    for row, label in zip(cosines.tolist(), y.tolist(), strict=True):
        logits = [scale * (widened(c, margin) if j == label else c) for j, c in enumerate(row)]
        values.append(math.log(sum(math.exp(z) for z in logits)) - logits[label])
    return torch.tensor(values, dtype=cosines.dtype)


def target(cosine, margin=0.5):
    """Recover the widened cosine from the loss against one other class of cosine zero."""
    row = torch.tensor([[cosine, 0.0]], dtype=torch.float64)
    value = arcface(row, torch.tensor([0]), scale=1.0, margin=margin).item()
    return -math.log(math.expm1(value))


@pytest.mark.parametrize("scale", [4.0, 16.0])
@pytest.mark.parametrize("margin", [0.0, 0.5, 1.5])
def test_equals_the_formula_in_plain_loops(scale, margin):
    cosines, y = batch()
    assert_close(arcface(cosines, y, scale=scale, margin=margin), naive(cosines, y, scale, margin))


def test_gives_the_worked_number():
    # against another class at 56 / 64 the loss is log(1 + exp(56 - 56.165284))
    row = torch.tensor([[1.0, 0.875]], dtype=torch.float64)
    value = arcface(row, torch.tensor([0]), scale=64.0, margin=0.5).item()
    assert value == pytest.approx(math.log1p(math.exp(56 - 56.165284)), abs=1e-6)


def test_is_the_normalized_softmax_without_margin():
    cosines, y = batch()
    assert_close(arcface(cosines, y, scale=10.0, margin=0.0), F.cross_entropy(10 * cosines, y, reduction="none"))


@pytest.mark.parametrize("margin", [0.1, 0.5, 2.0])
def test_is_never_below_the_loss_without_margin(margin):
    cosines, y = batch(200)
    assert (arcface(cosines, y, margin=margin) >= arcface(cosines, y, margin=0.0)).all()


@pytest.mark.parametrize("margin", [0.1, 0.5, 2.0])
def test_the_target_keeps_falling_beyond_pi(margin):
    values = [target(math.cos(angle), margin) for angle in torch.linspace(0, math.pi, 101).tolist()]
    assert all(later < earlier for earlier, later in itertools.pairwise(values))


def test_the_target_is_the_straight_line_beyond_pi():
    assert target(-0.95) == pytest.approx(-0.95 - 0.5 * math.sin(0.5))


@pytest.mark.parametrize(("cosine", "ratio"), [(0.9, 1.87), (0.5, 1.15)])
def test_the_exact_gradient_is_larger_by_the_ratio_of_sines(cosine, ratio):
    gradients, values = {}, {}
    for kind in ("exact", "straight_through"):
        row = torch.tensor([[cosine, 0.3, -0.2]], dtype=torch.float64, requires_grad=True)
        value = arcface(row, torch.tensor([0]), margin=0.5, gradient=kind)
        value.backward()
        gradients[kind], values[kind] = row.grad[0], value.item()
    assert values["exact"] == values["straight_through"]
    angle = math.acos(cosine)
    quotient = (gradients["exact"][0] / gradients["straight_through"][0]).item()
    assert quotient == pytest.approx(math.sin(angle + 0.5) / math.sin(angle))
    assert quotient == pytest.approx(ratio, abs=0.01)
    assert_close(gradients["exact"][1:], gradients["straight_through"][1:])


def test_straight_through_has_the_gradient_of_cross_entropy_at_the_widened_logits():
    cosines, y = batch()
    cosines.requires_grad_()
    arcface(cosines, y, scale=8.0, margin=0.4, gradient="straight_through").sum().backward()
    logits = 8 * cosines.detach()
    for i, label in enumerate(y.tolist()):
        logits[i, label] = 8 * widened(cosines[i, label].item(), 0.4)
    assert_close(cosines.grad, 8 * (torch.softmax(logits, 1) - F.one_hot(y, 5)))


def test_both_gradients_agree_without_margin():
    cosines, y = batch()
    gradients = []
    for kind in ("exact", "straight_through"):
        leaf = cosines.clone().requires_grad_()
        arcface(leaf, y, margin=0.0, gradient=kind).sum().backward()
        gradients.append(leaf.grad)
    assert_close(*gradients)


def test_has_the_gradient_of_its_value():
    cosines, y = batch(6)
    assert torch.autograd.gradcheck(lambda c: arcface(c, y, scale=5.0), cosines.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gradient", ["exact", "straight_through"])
def test_is_finite_at_the_poles_and_beyond(dtype, gradient):
    cosines = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0000001, 0.0], [-200.0, 200.0]], dtype=dtype)
    cosines.requires_grad_()
    values = arcface(cosines, torch.zeros(4, dtype=torch.int64), scale=64.0, gradient=gradient)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert cosines.grad.isfinite().all()


def test_the_gradient_of_an_embedding_stays_bounded_near_its_proxy():
    # the slope sin(theta + m) / sin(theta) grows without bound, but the cosine's own slope is sin(theta)
    proxies = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    for angle in (1e-2, 1e-4, 1e-6):
        embedding = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64, requires_grad=True)
        arcface(F.normalize(embedding, dim=1) @ proxies.T, torch.tensor([0]), scale=8.0).backward()
        assert embedding.grad.norm() < 8


def test_takes_hyperparameters_as_tensors():
    cosines, y = batch()
    scale, margin = torch.tensor(9.0, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    assert_close(arcface(cosines, y, scale=scale, margin=margin), arcface(cosines, y, scale=9.0, margin=0.3))


@pytest.mark.parametrize("gradient", ["exact", "straight_through"])
def test_trains_by_name_and_predicts_without_margin(gradient):
    X, y = load_digits(return_X_y=True)
    loss = Loss("arcface", scale=12.0, gradient=gradient)
    model = LossClassifier(loss=loss, max_epochs=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    wanted = torch.softmax(12 * torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)
