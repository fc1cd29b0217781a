import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.gaussian_proto import GaussianPrototypes


def built(classes=4, d=5, moments=True, **params):
    loss = GaussianPrototypes(n_classes=classes, embedding_dim=d, **params).double()
    if moments:
        steps = torch.arange(classes * d, dtype=torch.float64).view(classes, d)
        loss.moments.means.copy_(torch.sin(steps))
        loss.moments.variances.copy_(1 + 0.5 * torch.cos(3 * steps))
        loss.moments.seen.fill_(True)
    loss.radii.data = torch.linspace(0.5, 2.0, classes, dtype=torch.float64)
    return loss


def parts(loss, embeddings, shrinkage):
    """Distances (n, k), radii and deviations of the classes, in plain Python."""
    means, variances = loss.moments.means.tolist(), loss.moments.variances.tolist()
    d = len(means[0])
    pooled = [sum(v[j] for v in variances) / len(variances) for j in range(d)]
    shrunk = [
        [(1 - shrinkage) * v + shrinkage * p + 1e-6 for v, p in zip(row, pooled, strict=True)] for row in variances
    ]
    levels = [sum(map(math.log, v)) / d for v in shrunk]
    distances = [
        [
            sum((x - m) ** 2 / v for x, m, v in zip(row, mean, var, strict=True)) / d + level
            for mean, var, level in zip(means, shrunk, levels, strict=True)
        ]
        for row in embeddings.tolist()
    ]
    radii = [r + level for r, level in zip(loss.radii.tolist(), levels, strict=True)]
    return distances, radii, [math.sqrt(sum(v) / d) for v in shrunk]


@pytest.mark.parametrize(
    ("tau", "margin", "weight", "shrinkage"), [(0.3, 0.1, 1.0, 0.5), (1.0, 0.0, 2.0, 0.0), (0.1, 0.5, 0.5, 1.0)]
)
def test_equals_the_formula_in_plain_loops(sphere, tau, margin, weight, shrinkage):
    embeddings, _, y = sphere()
    loss = built(tau=tau, margin=margin, weight=weight, shrinkage=shrinkage)
    distances, radii, deviations = parts(loss, embeddings, shrinkage)
    wanted = []
    for row, label in zip(distances, y.tolist(), strict=True):
        own = -row[label] / tau
        softmax = math.log(sum(math.exp(-d / tau - own) for d in row))
        far = max(0.0, row[label] - radii[label] + margin * deviations[label])
        b = min((c for c in range(4) if c != label), key=row.__getitem__)
        near = max(0.0, radii[b] + margin * deviations[b] - row[b])
        wanted.append(softmax + weight * (far + near))
    assert loss(embeddings, y).tolist() == pytest.approx(wanted)


def test_equal_variances_make_it_the_nearest_mean(sphere):
    (embeddings, _, _), loss = sphere(60), built()
    loss.moments.variances.fill_(0.7)
    nearest = torch.cdist(embeddings, loss.moments.means).argmin(1)
    assert (loss.proba(embeddings).argmax(1) == nearest).all()
    wanted = torch.softmax(-torch.cdist(embeddings, loss.moments.means).square() / (5 * 0.7 * 0.3), 1)
    assert_close(loss.proba(embeddings), wanted, rtol=1e-5, atol=1e-9)


def test_full_shrinkage_makes_the_variances_equal(sphere):
    (embeddings, _, _), loss = sphere(), built(shrinkage=1.0)
    scaled = loss.moments.variances.mean(0).sqrt()
    nearest = torch.cdist(embeddings / scaled, loss.moments.means / scaled).argmin(1)
    assert (loss.proba(embeddings).argmax(1) == nearest).all()


def test_fewer_rows_are_rejected_as_the_radii_grow(sphere):
    (embeddings, _, _), loss = sphere(60), built()
    rates = []
    for radius in (0.0, 0.5, 1.0, 2.0, 4.0, 50.0):
        loss.radii.data.fill_(radius)
        rates.append((loss.novelty(embeddings) > 0).double().mean().item())
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1
    assert rates[-1] == 0


def test_without_margin_the_terms_on_the_radii_are_plain_hinges(sphere):
    embeddings, _, y = sphere()
    loss, alone = built(margin=0.0), built(weight=0.0)
    distances, radii, _ = parts(loss, embeddings, 0.5)
    hinges = []
    for row, label in zip(distances, y.tolist(), strict=True):
        b = min((c for c in range(4) if c != label), key=row.__getitem__)
        hinges.append(max(0, row[label] - radii[label]) + max(0, radii[b] - row[b]))
    without = alone(embeddings, y)
    assert (loss(embeddings, y) - without).tolist() == pytest.approx(hinges)
    assert_close(without, cross_entropy(-torch.tensor(distances, dtype=torch.float64) / 0.3, y, reduction="none"))


def test_a_larger_margin_never_lowers_the_value(sphere):
    embeddings, _, y = sphere(40)
    values = [built(margin=m)(embeddings, y) for m in (0.0, 0.2, 0.5)]
    assert (values[0] <= values[1]).all()
    assert (values[1] <= values[2]).all()


def test_the_moments_follow_the_batches_after_the_value(sphere):
    (embeddings, _, y), loss = sphere(), built(moments=False)
    first = loss(embeddings, y)
    fresh = built(moments=False)
    assert_close(first, fresh.eval()(embeddings, y))
    means = torch.stack([embeddings[y == c].mean(0) for c in range(4)])
    assert_close(loss.moments.means, means)
    assert not fresh.moments.seen.any()


def test_has_the_gradient_of_its_value(sphere):
    (embeddings, _, y), loss = sphere(), built()
    loss.eval()
    assert torch.autograd.gradcheck(lambda e, _: loss(e, y), (embeddings.requires_grad_(), loss.radii))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_classes_of_one_point_stay_finite(dtype):
    loss = GaussianPrototypes(n_classes=3, embedding_dim=2, shrinkage=0.0).to(dtype)
    y = torch.tensor([0, 0, 1, 1])
    for _ in range(3):
        leaf = torch.tensor([[1.0, 1.0], [1.0, 1.0], [3.0, 1.0], [3.0, 1.0]], dtype=dtype, requires_grad=True)
        values = loss(leaf, y)
        values.sum().backward()
        assert values.dtype == dtype
        assert values.isfinite().all()
        assert leaf.grad.isfinite().all()


def test_predicts_from_features_by_name():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("gaussian_proto", max_epochs=15, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    loss = model.net_.criterion_.terms[0].modules_[0]
    assert (loss.radii != 2).all()  # they learn


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_terms_on_the_radii_tell_classes_that_it_never_saw(seed):
    X, y = load_digits(return_X_y=True)
    known = y < 7
    train = known & (np.arange(len(y)) % 2 == 0)
    found = {}
    for weight in (0.0, 1.0):
        model = LossClassifier(Loss("gaussian_proto", weight=weight), max_epochs=20, loss_lr=10.0, random_state=seed)
        model.fit(X[train], y[train])
        loss, backbone = model.net_.criterion_.terms[0].modules_[0], model.net_.module_.backbone
        with torch.no_grad():
            novelty = loss.novelty(backbone(torch.as_tensor(X[~train])))
        found[weight] = roc_auc_score(y[~train] >= 7, novelty.numpy())
    assert found[1.0] > max(found[0.0], 0.8)


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("gaussian_proto", embedding_dim=16, max_epochs=6, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
