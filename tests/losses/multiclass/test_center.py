import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.center import Center


def built(classes=4, d=5, **params):
    loss = Center(n_classes=classes, embedding_dim=d, **params).double()
    loss.centers.copy_(torch.sin(torch.arange(classes * d, dtype=torch.float64)).view(classes, d))
    return loss


def moved(centers, embeddings, y, rate, weights=None):
    """The centers after a step, in plain Python."""
    centers = [list(c) for c in centers.tolist()]
    weights = [1.0] * len(y) if weights is None else weights
    for j, center in enumerate(list(centers)):
        rows = [(e, w) for e, label, w in zip(embeddings.tolist(), y.tolist(), weights, strict=True) if label == j]
        total = 1 + sum(w for _, w in rows)
        pull = [sum(w * (c - e[d]) for e, w in rows) / total for d, c in enumerate(center)]
        centers[j] = [c - rate * p for c, p in zip(center, pull, strict=True)]
    return torch.tensor(centers, dtype=torch.float64)


def test_equals_the_formula_in_plain_loops(sphere):
    (embeddings, _, y), loss = sphere(), built()
    centers = loss.centers.tolist()
    wanted = [
        sum((a - b) ** 2 for a, b in zip(row, centers[label], strict=True)) / 2
        for row, label in zip(embeddings.tolist(), y.tolist(), strict=True)
    ]
    assert loss(embeddings, y).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_the_centers_move_by_the_rule_of_the_paper(sphere, rate):
    (embeddings, _, y), loss = sphere(11), built(classes=5, rate=rate)  # the last class has no rows
    before = loss.centers.clone()
    loss(embeddings, y)
    assert_close(loss.centers, moved(before, embeddings, y, rate))
    assert_close(loss.centers[4], before[4])


def test_a_weight_of_two_moves_a_center_as_the_row_twice(sphere):
    embeddings, _, y = sphere(3)
    weighted, repeated = built(), built()
    weighted(embeddings, y, sample_weight=torch.tensor([2.0, 1.0, 1.0]))
    repeated(embeddings[[0, 0, 1, 2]], y[[0, 0, 1, 2]])
    assert_close(weighted.centers, repeated.centers)


def test_rows_are_pulled_to_their_centers_and_centers_have_no_gradient(sphere):
    (embeddings, _, y), loss = sphere(), built()
    centers = loss.centers.clone()
    leaf = embeddings.clone().requires_grad_()
    loss(leaf, y).sum().backward()
    assert_close(leaf.grad, embeddings - centers[y])
    assert not [*loss.parameters()]


def test_is_zero_on_the_centers():
    loss = built()
    assert (loss(loss.centers.clone(), torch.arange(4)) == 0).all()


def test_evaluation_leaves_the_centers(sphere):
    (embeddings, _, y), loss = sphere(), built()
    before = loss.centers.clone()
    loss.eval()(embeddings, y)
    assert torch.equal(loss.centers, before)


def test_the_centers_come_to_the_means_of_the_classes(sphere):
    (embeddings, _, y), loss = sphere(), built()
    for _ in range(200):
        loss(embeddings, y)
    means = torch.stack([embeddings[y == c].mean(0) for c in range(4)])
    assert_close(loss.centers, means, atol=1e-6, rtol=0)


def spread(model, X, y):
    """Distances of features to the means of their classes, in units of those between the means."""
    with torch.no_grad():
        features = model.net_.module_.backbone(torch.as_tensor(X)).numpy()
    means = np.stack([features[y == c].mean(0) for c in np.unique(y)])
    return np.linalg.norm(features - means[y], axis=1).mean() / np.linalg.norm(means - means.mean(0), axis=1).mean()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_beside_cross_entropy_it_draws_the_classes_together(seed):
    X, y = load_iris(return_X_y=True)
    plain = LossClassifier("cross_entropy", max_epochs=40, lr=0.01, random_state=seed).fit(X, y)
    loss = Loss("cross_entropy") + 0.1 * Loss("center")
    model = LossClassifier(loss, max_epochs=40, lr=0.01, random_state=seed).fit(X, y)
    assert model.score(X, y) > 0.9
    assert spread(model, X, y) < 0.8 * spread(plain, X, y)


def test_the_weight_of_the_term_does_not_slow_the_centers():
    X, y = load_iris(return_X_y=True)
    centers = {}
    for coef in (1e-6, 1e-3):
        loss = Loss("cross_entropy") + coef * Loss("center")
        model = LossClassifier(loss, max_epochs=5, random_state=0).fit(X, y)
        centers[coef] = model.net_.criterion_.by_name["center"].modules_[0].centers
    assert centers[1e-6].norm() > 0.1
    assert_close(centers[1e-6], centers[1e-3], rtol=0.05, atol=0.01)


@pytest.mark.parametrize("first", ["arcface", "subcenter_arcface", "hinge"])
def test_goes_with_losses_of_other_heads(first):
    X, y = load_digits(n_class=3, return_X_y=True)
    model = LossClassifier(Loss(first) + 0.01 * Loss("center"), max_epochs=5, random_state=0).fit(X, y)
    assert model.net_.criterion_.by_name["center"].modules_[0].centers.shape == (3, 100)
    assert model.score(X, y) > 0.9


def test_goes_with_losses_on_embeddings():
    X, y = load_digits(return_X_y=True)
    loss = Loss("multi_similarity") + 0.01 * Loss("center")
    model = MetricEmbedder(loss, embedding_dim=16, max_epochs=4, random_state=0).fit(X[::2], y[::2])
    assert model.net_.criterion_.by_name["center"].modules_[0].centers.shape == (10, 16)
    assert model.score(X[1::2], y[1::2]) > 0.9
