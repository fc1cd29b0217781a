import itertools
import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.arcface import arcface
from sklearnloss.losses.multiclass.unicom import unicom


def called(cosine, embeddings, proxies, y, *, seed=0, **params):
    rng = torch.Generator().manual_seed(seed)
    cosines = cosine(embeddings, proxies).detach()  # training makes its own of what was drawn
    return unicom(cosines, y, features=embeddings, prototypes=proxies, rng=rng, **params)


@pytest.mark.parametrize("gradient", ["exact", "straight_through"])
def test_is_arcface_with_all_classes_and_dimensions(sphere, cosine, gradient):
    embeddings, proxies, y = sphere()
    found = called(cosine, embeddings, proxies, y, margin=0.5, dim_fraction=1.0, gradient=gradient)
    assert_close(found, arcface(cosine(embeddings, proxies), y, margin=0.5))


def test_is_the_normalized_softmax_without_margin_too(sphere, cosine):
    embeddings, proxies, y = sphere()
    found = called(cosine, embeddings, proxies, y, margin=0.0, dim_fraction=1.0)
    assert_close(found, cross_entropy(16 * cosine(embeddings, proxies), y, reduction="none"))


def test_is_arcface_in_the_drawn_dimensions_of_both_embeddings_and_proxies(sphere, cosine):
    embeddings, proxies, y = sphere()
    candidates = {
        dims: arcface(cosine(embeddings[:, list(dims)], proxies[:, list(dims)]), y, margin=0.3)
        for dims in itertools.combinations(range(5), 3)
    }
    drawn = set()
    for seed in range(40):
        found = called(cosine, embeddings, proxies, y, seed=seed, dim_fraction=0.6)
        (dims,) = (d for d, wanted in candidates.items() if torch.allclose(found, wanted))
        drawn.add(dims)
    assert len(drawn) > 7  # of ten


def test_is_arcface_over_the_classes_of_the_batch_and_random_others(sphere, cosine):
    embeddings, proxies, _ = sphere(3, 7)
    y = torch.tensor([2, 5, 5])

    def over(*classes):
        labels = torch.tensor([classes.index(c) for c in y.tolist()])
        return arcface(cosine(embeddings, proxies[list(classes)]), labels, margin=0.3)

    # half of seven classes are four, two of which are in the batch
    candidates = {pair: over(2, 5, *pair) for pair in itertools.combinations([0, 1, 3, 4, 6], 2)}
    drawn = set()
    for seed in range(40):
        found = called(cosine, embeddings, proxies, y, seed=seed, class_fraction=0.5, dim_fraction=1.0)
        (others,) = (pair for pair, wanted in candidates.items() if torch.allclose(found, wanted))
        drawn.add(others)
    assert len(drawn) > 7  # of ten


def test_the_classes_of_the_batch_take_part_however_small_the_share(sphere, cosine):
    embeddings, proxies, _ = sphere(4, 7)
    y = torch.tensor([1, 3, 6, 3])
    found = called(cosine, embeddings, proxies, y, class_fraction=0.1, dim_fraction=1.0)
    labels = torch.tensor([0, 1, 2, 1])
    assert_close(found, arcface(cosine(embeddings, proxies[[1, 3, 6]]), labels, margin=0.3))


def test_a_proxy_that_was_not_drawn_has_no_gradient(sphere, cosine):
    embeddings, proxies, _ = sphere(4, 7)
    proxies.requires_grad_()
    called(cosine, embeddings, proxies, torch.tensor([1, 3, 6, 3]), class_fraction=0.1).sum().backward()
    assert (proxies.grad[[0, 2, 4, 5]] == 0).all()
    assert ((proxies.grad[[1, 3, 6]] != 0).sum(1) == 3).all()  # three of five dimensions


def test_does_not_depend_on_the_numbers_of_the_classes(sphere, cosine):
    embeddings, proxies, y = sphere()
    order = torch.tensor([2, 0, 3, 1])
    found = called(cosine, embeddings, proxies[order], order.argsort()[y])
    assert_close(found, called(cosine, embeddings, proxies, y))


def test_other_classes_beyond_the_threshold_count_as_a_cosine_of_zero(sphere, cosine, loops):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    assert (cosines > 0.2).sum() > 8
    kept = torch.where(cosines > 0.2, 0.0, cosines).scatter(1, y[:, None], cosines.gather(1, y[:, None]))
    found = called(cosine, embeddings, proxies, y, margin=0.0, dim_fraction=1.0, threshold=0.2)
    assert_close(found, loops(kept, y, 16.0, lambda c, i: c))


def test_the_threshold_leaves_no_gradient_where_it_acts(sphere, cosine):
    embeddings, proxies, y = sphere(1, 2)
    proxies[1] = 3 * embeddings[0] + 0.1  # almost the same thing under another name
    for threshold, moved in ((0.9, False), (None, True)):
        leaf = proxies.clone().requires_grad_()
        called(cosine, embeddings, leaf, y, dim_fraction=1.0, threshold=threshold).sum().backward()
        assert bool((leaf.grad[1].abs() > 1e-6).any()) is moved


@pytest.mark.parametrize(("true", "ratio"), [(0.9, 1.87), (0.5, 1.15)])
def test_the_exact_gradient_is_larger_by_the_ratio_of_sines(cosine, true, ratio):
    gradients, values = {}, {}
    proxies = torch.eye(3, dtype=torch.float64)
    for kind in ("exact", "straight_through"):
        leaf = torch.tensor([[true, math.sqrt(1 - true**2), 0.0]], dtype=torch.float64, requires_grad=True)
        # the other proxy is at a right angle, so that only the own cosine moves
        value = called(
            cosine, leaf, proxies[[0, 2]], torch.tensor([0]), margin=0.5, scale=1.0, dim_fraction=1.0, gradient=kind
        )
        value.sum().backward()
        gradients[kind], values[kind] = leaf.grad[0, 0].item(), value.item()
    assert values["exact"] == pytest.approx(values["straight_through"])
    assert gradients["exact"] / gradients["straight_through"] == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_finite_where_the_drawn_part_of_an_embedding_is_zero(cosine, dtype):
    embeddings = torch.zeros(4, 6, dtype=dtype)
    embeddings[:, 0] = 1
    embeddings.requires_grad_()
    proxies = torch.eye(6, dtype=dtype)[:3]
    for seed in range(5):
        values = called(cosine, embeddings, proxies, torch.arange(4) % 3, seed=seed, dim_fraction=0.01)
        values.sum().backward()
        assert values.dtype == dtype
        assert values.isfinite().all()
        assert embeddings.grad.isfinite().all()


def test_two_dimensions_are_the_least_and_the_expected_loss_is_finite(sphere, cosine):
    embeddings, proxies, y = sphere(60)
    values = []
    for seed in range(50):
        leaf = embeddings.clone().requires_grad_()
        value = called(cosine, leaf, proxies, y, seed=seed, dim_fraction=0.01, scale=64.0).mean()
        value.backward()
        assert (leaf.grad != 0).any(0).sum() == 2
        values.append(value.detach())
    assert torch.stack(values).isfinite().all()
    assert torch.stack(values).max() < 64 * 2.3  # a cosine with its margin is not below -1.2


def test_has_the_gradient_of_its_value(sphere, cosine):
    embeddings, proxies, y = sphere()
    assert torch.autograd.gradcheck(
        lambda e, p: called(cosine, e, p, y, scale=4.0), (embeddings.requires_grad_(), proxies.requires_grad_())
    )


@pytest.mark.parametrize("gradient", ["exact", "straight_through"])
def test_trains_by_name_and_predicts_in_all_dimensions(gradient):
    X, y = load_digits(return_X_y=True)
    loss = Loss("unicom", class_fraction=0.5, gradient=gradient)
    model = LossClassifier(loss, max_epochs=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.93
    wanted = torch.softmax(16 * torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("unicom", embedding_dim=16, max_epochs=6, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
