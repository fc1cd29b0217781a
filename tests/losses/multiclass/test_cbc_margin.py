import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.cbc_margin import ComponentMargin


def built(classes=4, d=5, components=6, seed=0, **params):
    torch.manual_seed(seed)
    loss = ComponentMargin(n_classes=classes, embedding_dim=d, components=components, **params).double()
    loss.reasoning.data = torch.randn(2, components, classes, dtype=torch.float64)
    return loss


def naive(embeddings, centers, reasoning, sigma):
    """Agreement of rows with classes, in plain Python."""
    k = len(reasoning[0][0])
    evidence = []  # of each class: of presence, then of absence
    for c in range(k):
        powers = [math.exp(row[c]) for side in reasoning for row in side]
        evidence.append([p / sum(powers) for p in powers])
    values = []
    for row in embeddings:
        near = [math.exp(-(math.dist(row, w) ** 2) / (sigma**2 * len(row))) for w in centers]
        values.append(
            [sum(d * r for d, r in zip(near + [1 - d for d in near], evidence[c], strict=True)) for c in range(k)]
        )
    return values


@pytest.mark.parametrize(("margin", "sigma"), [(0.025, 1.0), (0.3, 0.5), (1.0, 3.0)])
def test_equals_the_formula_in_plain_loops(sphere, margin, sigma):
    (embeddings, _, y), loss = sphere(), built(margin=margin, sigma=sigma)
    p = naive(embeddings.tolist(), loss.centers.tolist(), loss.reasoning.tolist(), sigma)
    wanted = [
        max(0.0, max(v for c, v in enumerate(row) if c != label) - row[label] + margin)
        for row, label in zip(p, y.tolist(), strict=True)
    ]
    assert loss(embeddings, y).tolist() == pytest.approx(wanted)
    assert_close(loss.agreement(embeddings).detach(), torch.tensor(p, dtype=torch.float64))


def worked():
    """A loss and a row at which the components are detected with 0.8 and 0.3."""
    loss = built(classes=2, d=1, components=2, margin=0.025)
    loss.centers.data = torch.tensor([[math.sqrt(-math.log(0.8))], [-math.sqrt(-math.log(0.3))]], dtype=torch.float64)
    evidence = torch.tensor([[[0.5, 0.1], [0.1, 0.3]], [[0.2, 0.2], [0.2, 0.4]]], dtype=torch.float64)
    loss.reasoning.data = evidence.log()
    return loss, torch.zeros(1, 1, dtype=torch.float64)


def test_gives_the_worked_numbers():
    loss, row = worked()
    assert loss.agreement(row).tolist()[0] == pytest.approx([0.61, 0.49])
    assert loss(row, torch.tensor([1])).item() == pytest.approx(0.145)
    assert loss(row, torch.tensor([0])).item() == 0


def test_the_evidence_of_each_class_sums_to_one():
    loss = built()
    assert (loss.evidence > 0).all()
    assert_close(loss.evidence.sum((0, 1)), torch.ones(4, dtype=torch.float64))


def test_the_order_of_the_components_does_not_matter(sphere):
    (embeddings, _, y), loss = sphere(), built()
    plain = loss(embeddings, y)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    loss.centers.data, loss.reasoning.data = loss.centers.data[order], loss.reasoning.data[:, order]
    assert_close(loss(embeddings, y), plain)


def test_without_evidence_of_absence_it_is_a_network_of_radial_basis_functions(sphere):
    (embeddings, _, _), loss = sphere(), built()
    loss.reasoning.data[1] = -1e4
    weights = torch.softmax(loss.reasoning.data[0], 0)
    near = torch.exp(-torch.cdist(embeddings, loss.centers.data).square() / 5)
    assert_close(loss.agreement(embeddings), near @ weights)


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_a_row_keeps_its_class_within_the_certified_radius(sphere, sigma):
    (embeddings, _, _), loss = sphere(), built(sigma=sigma)
    p = loss.agreement(embeddings).detach()
    lead, first = p.topk(2).values, p.argmax(1)
    presence, absence = loss.evidence.detach()
    weights = presence - absence
    slope = math.sqrt(2 / math.e) / (sigma * math.sqrt(5))
    totals = (weights[:, first].T[:, None] - weights.T[None]).abs().sum(2)  # (n, k)
    gaps = (p.gather(1, first[:, None]) - p).scatter(1, first[:, None], math.inf)
    radius = (gaps / (slope * totals.clamp(min=1e-12))).min(1).values
    assert (lead[:, 0] > lead[:, 1]).all()
    moved = embeddings.clone()
    for _ in range(60):  # walk towards the other classes, never farther than the radius
        leaf = moved.clone().requires_grad_()
        others = loss.agreement(leaf).scatter(1, first[:, None], -math.inf).amax(1)
        (others - loss.agreement(leaf).gather(1, first[:, None]).squeeze(1)).sum().backward()
        step = leaf.grad / leaf.grad.norm(dim=1, keepdim=True).clamp(min=1e-30)
        offset = moved + radius[:, None] / 10 * step - embeddings
        moved = embeddings + offset * (radius / offset.norm(dim=1).clamp(min=1e-30)).clamp(max=1)[:, None] * 0.999
        assert (loss.agreement(moved).argmax(1) == first).all()
    assert ((moved - embeddings).norm(dim=1) > 0.9 * radius).any()


def test_lies_between_zero_and_one_more_than_the_margin(sphere):
    embeddings, _, y = sphere(40)
    values = built(margin=0.2)(50 * embeddings, y)
    assert ((values >= 0) & (values <= 1.2)).all()


def test_probabilities_are_shares_of_the_agreements(sphere):
    (embeddings, _, _), loss = sphere(), built()
    p = loss.agreement(embeddings)
    assert_close(loss.proba(embeddings), p / p.sum(1, keepdim=True))


def test_has_the_gradient_of_its_value(sphere):
    (embeddings, _, y), loss = sphere(), built(margin=1.0)
    assert torch.autograd.gradcheck(
        lambda e, *_: loss(e, y), (embeddings.requires_grad_(), loss.centers, loss.reasoning)
    )


def test_has_three_components_for_each_class_unless_told():
    loss = ComponentMargin(n_classes=5, embedding_dim=2)
    assert loss.centers.shape == (15, 2)
    assert (loss.evidence[0].view(3, 5, 5).sum(0).argmax(0) == torch.arange(5)).all()  # each begins with its own


def test_predicts_from_features_by_name():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("cbc_margin", max_epochs=25, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(model.classes_[proba.argmax(1)], model.predict(X))
    loss = model.net_.criterion_.terms[0].modules_[0]
    features = model.net_.module_.backbone(torch.as_tensor(X))
    assert_close(torch.as_tensor(proba), loss.proba(features).detach())


def test_two_classes_and_names_are_predicted_too():
    X, y = load_wine(return_X_y=True)
    two = y < 2
    names = np.array(["b", "a"])[y[two]]
    model = LossClassifier(Loss("cbc_margin", components=7), max_epochs=150, random_state=0).fit(X[two], names)
    assert model.score(X[two], names) > 0.95
    np.testing.assert_array_equal(model.predict_proba(X[two])[:, 1] > 0.5, model.predict(X[two]) == "b")


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("cbc_margin", embedding_dim=16, max_epochs=8, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
