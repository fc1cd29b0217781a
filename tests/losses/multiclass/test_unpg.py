import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.arcface import arcface
from sklearnloss.losses.multiclass.cosface import cosface
from sklearnloss.losses.multiclass.unpg import unpg
from sklearnloss.spec import choose


def naive(cosines, y, features, head, scale, margin, width):
    unit = normalize(features, dim=1).tolist()
    n = len(y)
    pairs = sorted(
        sum(a * b for a, b in zip(unit[i], unit[j], strict=True))
        for i in range(n)
        for j in range(i + 1, n)
        if y[i] != y[j]
    )
    low, high = pairs[math.floor(0.25 * len(pairs))], pairs[math.floor(0.75 * len(pairs))]
    kept = [c for c in pairs if low - width * (high - low) <= c <= high + width * (high - low)]
    values = []
    for row, label in zip(cosines.tolist(), y.tolist(), strict=True):
        own = row[label] - margin
        if head == "arcface":
            angle = math.acos(row[label])
            own = math.cos(angle + margin) if angle + margin < math.pi else row[label] - margin * math.sin(margin)
        others = [c for j, c in enumerate(row) if j != label] + kept
        values.append(math.log(math.exp(scale * own) + sum(math.exp(scale * c) for c in others)) - scale * own)
    return torch.tensor(values, dtype=cosines.dtype)


def with_cosines(*cosines):
    """Unit vectors: first one, then those that have these cosines with it."""
    rest = [[c, math.sqrt(1 - c * c)] for c in cosines]
    return torch.tensor([[1.0, 0.0], *rest], dtype=torch.float64)


@pytest.mark.parametrize("head", ["cosface", "arcface"])
@pytest.mark.parametrize(("scale", "margin", "width"), [(4.0, 0.2, 1.5), (16.0, 0.5, 0.1), (8.0, 0.0, 0.0)])
def test_equals_the_formula_in_plain_loops(sphere, cosine, head, scale, margin, width):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    found = unpg(cosines, y, features=embeddings, head=head, scale=scale, margin=margin, width=width)
    assert_close(found, naive(cosines, y, embeddings, head, scale, margin, width))


def test_gives_the_worked_numbers():
    row = {"scale": 10.0, "margin": 0.35}
    cosines, features = torch.tensor([[0.8, 0.1], [0.1, 0.8]], dtype=torch.float64), with_cosines(0.3)
    alone = unpg(cosines[:1], torch.tensor([0]), features=features[:1], **row)
    assert alone.item() == pytest.approx(0.029750, abs=1e-6)
    both = unpg(cosines, torch.tensor([0, 1]), features=features, **row)
    assert both.tolist() == pytest.approx([0.225802] * 2, abs=1e-6)


def test_drops_the_worked_outlier():
    cosines, y = torch.zeros(8, 2, dtype=torch.float64), torch.tensor([0, 1, 1, 1, 1, 1, 1, 1])
    others = (-0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
    found = unpg(cosines, y, features=with_cosines(*others, 0.95), scale=1.0, margin=0.0)
    assert_close(found.exp(), torch.full_like(found, 2 + sum(map(math.exp, others))))
    wide = unpg(cosines, y, features=with_cosines(*others, 0.95), scale=1.0, margin=0.0, width=2.0)
    assert_close(wide.exp(), torch.full_like(found, 2 + sum(map(math.exp, (*others, 0.95)))))


@pytest.mark.parametrize(("head", "alone"), [("cosface", cosface), ("arcface", arcface)])
@pytest.mark.parametrize("n", [1, 6])
def test_is_the_head_alone_where_no_two_rows_are_of_different_classes(sphere, cosine, head, alone, n):
    embeddings, proxies, _ = sphere(n)
    cosines, y = cosine(embeddings, proxies).requires_grad_(), torch.ones(n, dtype=torch.int64)
    embeddings.requires_grad_()
    found = unpg(cosines, y, features=embeddings, head=head)
    assert_close(found, alone(cosines, y, margin=0.2))
    found.sum().backward()
    assert cosines.grad.isfinite().all()
    assert (embeddings.grad == 0).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_grows_with_each_pair_that_is_kept_and_not_with_an_outlier(seed):
    generator = torch.Generator().manual_seed(seed)
    near = 0.1 + 0.05 * torch.rand(8, generator=generator, dtype=torch.float64)
    cosines, y = torch.zeros(10, 2, dtype=torch.float64), torch.tensor([0] + [1] * 9)
    plain = unpg(cosines, y, features=with_cosines(*near.tolist(), 0.9), width=3.0)
    for i in range(8):
        raised = near.clone()
        raised[i] += 1e-4
        assert (unpg(cosines, y, features=with_cosines(*raised.tolist(), 0.9), width=3.0) > plain).all()
    assert_close(unpg(cosines, y, features=with_cosines(*near.tolist(), 0.95), width=3.0), plain)


def test_is_never_below_the_head_alone(sphere, cosine):
    embeddings, proxies, y = sphere(40)
    cosines = cosine(embeddings, proxies)
    assert (unpg(cosines, y, features=embeddings) > cosface(cosines, y, margin=0.2)).all()


@pytest.mark.parametrize("head", ["cosface", "arcface"])
def test_has_the_gradient_of_its_value_by_cosines_and_features(sphere, cosine, head):
    embeddings, proxies, y = sphere(8)
    cosines = cosine(embeddings, proxies).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda c, e: unpg(c, y, features=e, head=head, scale=4.0), (cosines, embeddings.requires_grad_())
    )


def test_the_pairs_are_pushed_apart(sphere, cosine):
    embeddings, proxies, y = sphere()
    leaf = embeddings.clone().requires_grad_()
    unpg(cosine(embeddings, proxies), y, features=leaf).sum().backward()
    assert (leaf.grad != 0).any()


def test_keeps_bfloat16_and_large_scales_finite(sphere, cosine):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    half = unpg(cosines.bfloat16(), y, features=embeddings.float(), scale=4.0)
    assert half.dtype == torch.bfloat16
    assert_close(half.double(), unpg(cosines, y, features=embeddings, scale=4.0), atol=0.2, rtol=0.05)
    assert unpg(cosines.float(), y, features=embeddings.float(), scale=1000.0).isfinite().all()


def test_has_another_name_and_wants_batches_that_hold_all_classes():
    component = choose("loss", "unified_negatives").component
    assert component.obj is unpg
    assert component.sampler == "stratified"


@pytest.mark.parametrize("head", ["cosface", "arcface"])
def test_trains_by_name_and_predicts_without_margin(head):
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(Loss("unpg", head=head), max_epochs=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    wanted = torch.softmax(16 * torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("unpg", embedding_dim=16, max_epochs=6, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
