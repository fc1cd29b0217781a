import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from sklearnloss import LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.arcface import arcface
from sklearnloss.losses.multiclass.elastic_arcface import elastic_arcface


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def widened(cosine, margin):
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    return math.cos(angle + margin) if angle + margin < math.pi else cosine - margin * math.sin(margin)


def target(value, scale, others):
    """Recover the true class's cosine with its margin from the value of a row."""
    rest = math.log(sum(math.exp(scale * c) for c in others))
    return (rest - math.log(math.expm1(value))) / scale


@pytest.fixture
def cosines(sphere, cosine):
    embeddings, proxies, y = sphere()
    return cosine(embeddings, proxies), y


@pytest.mark.parametrize("by_distance", [False, True])
@pytest.mark.parametrize(("scale", "margin", "sigma"), [(4.0, 0.3, 0.05), (16.0, 0.5, 0.2)])
def test_equals_the_formula_in_plain_loops(cosines, loops, scale, margin, sigma, by_distance):
    cosines, y = cosines
    draws = torch.randn(12, generator=seeded(), dtype=torch.float64).tolist()
    draws = sorted(draws) if by_distance else draws
    near_to_far = sorted(range(12), key=lambda i: -cosines[i, y[i]].item())
    margins = {i: margin + sigma * draw for i, draw in zip(near_to_far, draws, strict=True)}
    wanted = loops(cosines, y, scale, lambda c, i: widened(c, margins[i]))
    found = elastic_arcface(cosines, y, rng=seeded(), scale=scale, margin=margin, sigma=sigma, by_distance=by_distance)
    assert_close(found, wanted)


@pytest.mark.parametrize("by_distance", [False, True])
def test_is_arcface_without_a_deviation(cosines, by_distance):
    cosines, y = cosines
    found = elastic_arcface(cosines, y, rng=seeded(), margin=0.4, sigma=0.0, by_distance=by_distance)
    assert_close(found, arcface(cosines, y, margin=0.4))


def test_is_the_normalized_softmax_without_margin_and_deviation(cosines):
    cosines, y = cosines
    found = elastic_arcface(cosines, y, rng=seeded(), margin=0.0, sigma=0.0)
    assert_close(found, cross_entropy(16 * cosines, y, reduction="none"))


def test_the_same_seed_gives_the_same_loss_and_another_another(cosines):
    one, same, other = (elastic_arcface(*cosines, rng=seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert (one != other).all()


def test_each_step_draws_anew(cosines):
    rng = seeded()
    assert (elastic_arcface(*cosines, rng=rng) != elastic_arcface(*cosines, rng=rng)).all()


@pytest.mark.parametrize("by_distance", [False, True])
def test_the_order_of_rows_does_not_matter(cosines, by_distance):
    (cosines, y), order = cosines, torch.randperm(12, generator=seeded(5))
    plain = elastic_arcface(cosines, y, rng=seeded(), by_distance=by_distance)
    moved = elastic_arcface(cosines[order], y[order], rng=seeded(), by_distance=by_distance)
    assert_close(moved, plain[order])


def margins_of(values, cosines, y, scale=1.0):
    """Recover the margins of rows whose angle with the margin is below pi."""
    margins = []
    for value, row, label in zip(values.tolist(), cosines.tolist(), y.tolist(), strict=True):
        others = [c for j, c in enumerate(row) if j != label]
        margins.append(math.acos(target(value, scale, others)) - math.acos(row[label]))
    return torch.tensor(margins)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_farther_rows_have_larger_margins_by_distance_and_not_else(seed):
    # the published code takes the sorting order for ranks; then these five margins do not rise
    true = torch.tensor([0.5, 0.9, -0.2, 0.1, 0.7], dtype=torch.float64)
    cosines, y = torch.stack([true, torch.zeros(5).double()], 1), torch.zeros(5, dtype=torch.int64)
    values = elastic_arcface(cosines, y, rng=seeded(seed), scale=1.0, by_distance=True)
    margins = margins_of(values, cosines, y)[true.argsort(descending=True)]
    assert (margins.diff() > 0).all()
    draws = 0.3 + 0.05 * torch.randn(5, generator=seeded(seed), dtype=torch.float64).sort().values
    assert_close(margins.double(), draws, atol=1e-5, rtol=0)


def test_margins_are_normal_whatever_the_row_and_independent():
    n = 4000
    true = torch.linspace(-0.8, 0.8, n, dtype=torch.float64)
    cosines, y = torch.stack([true, torch.zeros(n).double()], 1), torch.zeros(n, dtype=torch.int64)
    values = elastic_arcface(cosines, y, rng=seeded(), scale=1.0, sigma=0.1)
    margins = margins_of(values, cosines, y).double()
    for part in (margins[: n // 2], margins[n // 2 :]):  # rows far from their proxy, and near to it
        assert part.mean().item() == pytest.approx(0.3, abs=0.01)
        assert part.std().item() == pytest.approx(0.1, abs=0.005)
    assert torch.corrcoef(torch.stack([margins[1:], margins[:-1]]))[0, 1].abs() < 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_finite_at_the_poles(dtype):
    # the published code clamps cosines to one, where the slope of its arc cosine is infinite
    cosines = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0000001, 0.0]], dtype=dtype, requires_grad=True)
    values = elastic_arcface(cosines, torch.zeros(3, dtype=torch.int64), rng=seeded(), scale=64.0)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert cosines.grad.isfinite().all()


def test_has_the_gradient_of_its_value(cosines):
    cosines, y = cosines
    assert torch.autograd.gradcheck(
        lambda c: elastic_arcface(c, y, rng=seeded(), scale=5.0, by_distance=True), cosines.requires_grad_()
    )


@pytest.mark.parametrize("by_distance", [False, True])
def test_trains_by_name_and_predicts_without_margin(by_distance):
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("elastic_arcface", max_epochs=10, random_state=0)
    model.set_params(loss__by_distance=by_distance).fit(X, y)
    assert model.score(X, y) > 0.95
    wanted = torch.softmax(16 * torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)


def test_the_same_random_state_gives_the_same_model():
    X, y = load_digits(n_class=4, return_X_y=True)
    one, same, other = (LossClassifier("elastic_arcface", max_epochs=2, random_state=s).fit(X, y) for s in (0, 0, 1))
    assert one.loss_curve_ == same.loss_curve_ != other.loss_curve_


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("elastic_arcface", embedding_dim=16, max_epochs=6, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
