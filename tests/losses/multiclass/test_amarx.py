import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.amarx import AdaptiveMarginSoftmax


def built(classes=4, d=5, **params):
    loss = AdaptiveMarginSoftmax(n_classes=classes, embedding_dim=d, **{"warmup": 0, **params}).double()
    steps = torch.arange(classes * d, dtype=torch.float64).view(classes, d)
    loss.moments.means.copy_(torch.sin(steps))
    loss.moments.variances.copy_(1 + 0.5 * torch.cos(3 * steps))
    loss.moments.seen.fill_(True)
    return loss


@pytest.fixture
def head(sphere):
    """Features (12, 5), weights (4, 5) and bias (4,) of a head, labels, and how a loss is called on them."""
    features, weight, y = sphere()
    weight, bias = weight / 3, torch.tensor([0.1, -0.2, 0.0, 0.3], dtype=torch.float64)

    def call(loss, features=features, weight=weight, bias=bias, y=y, epoch=0, **facts):
        logits = features @ weight.T + bias
        return loss(logits, y, features=features, head_weight=weight, head_bias=bias, epoch=epoch, **facts)

    return features, weight, bias, y, call


def in_loops(features, y, weight, bias, variances, factor):
    values = []
    for f, label in zip(features.tolist(), y.tolist(), strict=True):
        gaps = []
        for j in range(len(weight)):
            difference = [a - b for a, b in zip(weight[j].tolist(), weight[label].tolist(), strict=True)]
            z = sum(d * x for d, x in zip(difference, f, strict=True)) + float(bias[j] - bias[label])
            margin = factor / 2 * sum(v * d * d for v, d in zip(variances[label].tolist(), difference, strict=True))
            gaps.append(z + min(margin, 30.0))
        values.append(math.log(sum(map(math.exp, gaps))))
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0, 100.0])
def test_equals_the_formula_in_plain_loops(head, factor):
    features, weight, bias, y, call = head
    loss = built(variance_factor=factor)
    wanted = in_loops(features, y, weight, bias, loss.moments.variances + 1e-6, factor)
    assert_close(call(loss), wanted)


def test_is_cross_entropy_without_variance(head):
    features, weight, bias, y, call = head
    assert_close(call(built(variance_factor=0.0)), cross_entropy(features @ weight.T + bias, y, reduction="none"))


def test_equal_variances_give_the_squared_distance_of_the_weights(head):
    features, weight, bias, y, call = head
    loss = built(variance_factor=0.8)
    loss.moments.variances.fill_(0.6)
    margins = 0.8 * 0.6 / 2 * torch.cdist(weight, weight).square()
    wanted = cross_entropy(features @ weight.T + bias + margins[y], y, reduction="none")
    assert_close(call(loss), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bounds_the_expected_cross_entropy_of_gaussian_features(head, seed):
    features, weight, bias, y, call = head
    loss, generator = built(variance_factor=1.5), torch.Generator().manual_seed(seed)
    noise = torch.randn(4000, 12, 5, generator=generator, dtype=torch.float64)
    drawn = features + (1.5 * loss.moments.variances[y]).sqrt() * noise
    logits = drawn @ weight.T + bias
    expected = cross_entropy(logits.flatten(0, 1), y.repeat(4000), reduction="none").view(4000, 12).mean(0)
    bound = call(loss)
    assert (expected < bound).all()
    assert (expected > call(built(variance_factor=0.0)) - 0.1).all()  # and not by far


def test_the_margin_has_no_gradient_where_the_weights_are_equal(head):
    *_, call = head
    gradients = []
    for factor in (0.0, 2.0):
        weight = torch.sin(torch.arange(5, dtype=torch.float64)).repeat(4, 1).requires_grad_()
        call(built(variance_factor=factor), weight=weight).sum().backward()
        gradients.append(weight.grad)
    assert_close(*gradients)


def test_the_margins_set_in_after_the_warmup_and_for_classes_that_were_seen(head):
    features, weight, bias, y, call = head
    plain = cross_entropy(features @ weight.T + bias, y, reduction="none")
    assert_close(call(built(warmup=3), epoch=2), plain)
    assert (call(built(warmup=3), epoch=3) > plain).all()
    loss = built()
    loss.moments.seen[1] = False
    found = call(loss)
    assert_close(found[y == 1], plain[y == 1])
    assert (found[y != 1] > plain[y != 1]).all()


def test_a_margin_is_not_above_thirty(head):
    features, *_, call = head
    values = call(built(variance_factor=1e6), features=0 * features, bias=torch.zeros(4, dtype=torch.float64))
    assert_close(values, torch.full_like(values, math.log(3 * math.exp(30) + 1)))


def test_prototypes_are_one_term_for_each_class_that_was_seen(head):
    _, weight, bias, _, call = head
    loss = built(mode="prototype", variance_factor=1.0)
    loss.moments.seen[2] = False
    seen = torch.tensor([0, 1, 3])
    wanted = in_loops(loss.moments.means[seen], seen, weight, bias, loss.moments.variances + 1e-6, 1.0)
    assert_close(call(loss), wanted.mean().expand(12))


def test_prototypes_do_not_depend_on_how_many_rows_a_class_has(head):
    features, _, _, y, call = head
    plain = call(built(mode="prototype"))
    many = torch.cat([torch.arange(12), torch.zeros(30, dtype=torch.int64)])
    found = call(built(mode="prototype"), features=features[many], y=y[many])
    assert_close(found, plain[:1].expand(42))


def test_prototypes_are_nothing_before_any_class_was_seen(head):
    *_, call = head
    loss = AdaptiveMarginSoftmax(n_classes=4, embedding_dim=5, mode="prototype").double()
    assert (call(loss) == 0).all()
    assert (call(loss) > 0).all()


def test_the_moments_follow_the_batches_after_the_value(head):
    features, _, _, y, call = head
    loss = AdaptiveMarginSoftmax(n_classes=4, embedding_dim=5, warmup=0, variance_factor=2.0).double()
    assert_close(call(loss), call(built(variance_factor=0.0)))
    assert_close(loss.moments.means, torch.stack([features[y == c].mean(0) for c in range(4)]))
    wanted = torch.stack([features[y == c].var(0, correction=0) for c in range(4)])
    assert_close(loss.moments.variances, wanted)


@pytest.mark.parametrize("mode", ["sample", "prototype"])
def test_has_the_gradient_of_its_value_by_features_and_head(head, mode):
    features, weight, bias, _, call = head
    loss = built(mode=mode).eval()
    leaves = [t.clone().requires_grad_() for t in (features, weight, bias)]
    assert torch.autograd.gradcheck(lambda f, w, b: call(loss, features=f, weight=w, bias=b), leaves)


def test_trains_by_name():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("amarx", max_epochs=15, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert model.net_.criterion_.terms[0].modules_[0].moments.seen.all()
    wanted = torch.softmax(torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_prototypes_keep_classes_whose_rows_are_gone(seed):
    X, y = (part[::2] for part in load_digits(return_X_y=True))
    old, kept = y < 5, {}
    for name, loss in {
        "without": Loss("cross_entropy"),
        "with": Loss("cross_entropy") + Loss("amarx", mode="prototype"),
    }.items():
        model = LossClassifier(loss, random_state=seed)
        for part, epochs in ((old, 15), (~old, 15)):
            for _ in range(epochs):
                model.partial_fit(X[part], y[part], classes=np.arange(10))
        kept[name] = model.score(X[old], y[old])
        assert model.score(X[~old], y[~old]) > 0.9
    assert kept["with"] > kept["without"] + 0.05
