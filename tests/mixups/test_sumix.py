import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.testing import assert_close

from sklearnloss import LossClassifier, LossRegressor, Mixup
from sklearnloss.exceptions import MissingFactError, TaskError
from sklearnloss.mixups.cutmix import cutmix
from sklearnloss.mixups.mixup import mixup
from sklearnloss.mixups.sumix import SUMix
from sklearnloss.training.backbone import Network

K = 3


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network(nn.Sequential(nn.Linear(4, 6), nn.Tanh()), nn.Linear(6, K)).double()


def rows(n=7, seed=3):
    X = 3 * torch.randn(n, 4, generator=generator(seed), dtype=torch.float64)
    return X, torch.arange(n) % K


def sumix(**params):
    torch.manual_seed(1)
    return SUMix(embedding_dim=6, n_classes=K, **params).double()


def softmax(values):
    largest = max(values)
    shares = [math.exp(v - largest) for v in values]
    return [s / sum(shares) for s in shares]


def unit(values):
    length = math.sqrt(sum(v * v for v in values))
    return [v / length for v in values]


def by_hand(part, network, X, mixed, y, y_b, partner, lam, scale):
    """Return shares and terms of the formula, number by number."""
    shares, terms = [], []
    seen = {"clean": network.backbone(X), "mixed": network.backbone(mixed)}
    p = {name: [softmax(z) for z in network.head(f).tolist()] for name, f in seen.items()}
    u = {name: [unit(softmax(z)) for z in part.unsure(f).tolist()] for name, f in seen.items()}
    for i, j in enumerate(partner.tolist()):
        a, b = int(y[i]), int(y_b[i])
        p_a = [0.0 if c == b else v for c, v in enumerate(p["clean"][i])]
        p_b = [0.0 if c == a else v for c, v in enumerate(p["clean"][j])]
        A = [scale * v for v in unit(softmax([m - q for m, q in zip(p["mixed"][i], p_a, strict=True)]))]
        B = [scale * v for v in unit(softmax([m - q for m, q in zip(p["mixed"][i], p_b, strict=True)]))]
        r_a, r_b = lam * math.exp(-A[a]), (1 - lam) * math.exp(-B[b])
        shares.append(r_a / (r_a + r_b))
        first = softmax([math.exp(-(u["clean"][i][c] + u["mixed"][i][c] + A[c])) for c in range(K)])[a]
        second = softmax([math.exp(-(u["clean"][j][c] + u["mixed"][i][c] + B[c])) for c in range(K)])[b]
        terms.append(-part.weight * (lam * math.log(first) + (1 - lam) * math.log(second)))
    return torch.tensor(shares, dtype=torch.float64), torch.tensor(terms, dtype=torch.float64)


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
@pytest.mark.parametrize(("scale", "factor"), [(None, math.sqrt(K)), (0.7, 0.7), ("batch", 7.0)])
def test_shares_and_terms_are_those_of_the_formula(network, mix, scale, factor):
    X, y = rows()
    part = sumix(mix=mix, scale=scale, weight=0.3)
    features, y_a, y_b, share, terms = part(X, y, rng=generator(5), module=network)
    mixed, _, partner, lam = {"mixup": mixup, "cutmix": cutmix}[mix](X, torch.arange(7), rng=generator(5), alpha=1.0)
    assert torch.equal(y_a, y)
    assert torch.equal(y_b, y[partner])
    assert_close(features, network.backbone(mixed))
    expected = by_hand(part, network, X, mixed, y, y_b, partner, float(lam), factor)
    assert_close(share, expected[0])
    assert_close(terms, expected[1])


def test_without_weight_and_scale_it_is_the_plain_mix(network):
    X, y = rows()
    features, y_a, y_b, share, terms = sumix(weight=0.0, scale=0.0)(X, y, rng=generator(2), module=network)
    mixed, own, other, lam = cutmix(X, y, rng=generator(2))
    assert_close(features, network.backbone(mixed))
    assert torch.equal(y_a, own)
    assert torch.equal(y_b, other)
    assert_close(share, lam.expand(7))
    assert not terms.any()


def test_a_row_that_is_all_there_keeps_its_label(network, monkeypatch):
    X, y = rows()
    whole = (X, torch.arange(7).roll(1), torch.ones((), dtype=torch.float64))
    monkeypatch.setattr("sklearnloss.mixups.sumix.blended", lambda *_, **__: whole)
    share = sumix(mix="mixup")(X, y, rng=generator(), module=network)[3]
    assert torch.equal(share, torch.ones(7, dtype=torch.float64))


def test_swapping_the_rows_swaps_the_shares(network, monkeypatch):
    X, y = rows(6)
    swap, lam = torch.tensor([1, 0, 3, 2, 5, 4]), torch.tensor(0.3, dtype=torch.float64)
    line = lam * X + (1 - lam) * X[swap]
    results = []
    for mixed, share in ((line, lam), (line[swap], 1 - lam)):
        monkeypatch.setattr("sklearnloss.mixups.sumix.blended", lambda *_, m=mixed, s=share, **__: (m, swap, s))
        results.append(sumix(mix="mixup")(X, y, rng=generator(), module=network)[3:])
    (share, terms), (other_share, other_terms) = results
    assert_close(share, 1 - other_share[swap])
    assert_close(terms, other_terms[swap])


def test_only_the_scale_of_the_authors_depends_on_the_size_of_the_batch(network):
    X, y = rows()
    shares = {}
    for scale in (None, "batch"):
        for copies in (1, 2):
            monkey = pytest.MonkeyPatch()
            partner = torch.cat([torch.arange(7).roll(1) + 7 * c for c in range(copies)])
            lam = torch.tensor(0.4, dtype=torch.float64)
            many = X.repeat(copies, 1)
            monkey.setattr(
                "sklearnloss.mixups.sumix.blended",
                lambda *_, m=many, p=partner, s=lam, **__: (torch.lerp(m[p], m, s), p, s),
            )
            part = sumix(mix="mixup", scale=scale)
            shares[scale, copies] = part(many, y.repeat(copies), rng=generator(), module=network)[3][:7]
            monkey.undo()
    assert_close(shares[None, 1], shares[None, 2])
    assert (shares["batch", 1] - shares["batch", 2]).abs().max() > 0.01


def test_shares_are_finite_where_the_distances_underflow(network):
    X, y = (part[:6].float() if part.is_floating_point() else part[:6] for part in rows())
    part = sumix(scale=1000.0).float()
    share, terms = part(X, y, rng=generator(), module=network.float())[3:]
    assert torch.isfinite(share).all()
    assert torch.isfinite(terms).all()


def test_probabilities_get_no_gradient_and_the_uncertainty_reaches_the_features(network):
    X, y = rows()
    part = sumix(weight=0.3)
    _, _, _, share, terms = part(X, y, rng=generator(), module=network)
    assert not share.requires_grad
    terms.sum().backward()
    assert network.head.weight.grad is None
    assert network.backbone[0].weight.grad.abs().sum() > 0
    assert part.unsure.weight.grad.abs().sum() > 0


def test_several_labels_numbers_and_other_heads_are_refused(network):
    X, _ = rows()
    for y in (torch.zeros(7, 2), torch.zeros(7)):
        with pytest.raises(TaskError, match="one class a row"):
            sumix()(X, y, rng=generator(), module=network)
    narrow = Network(network.backbone, nn.Linear(6, K - 1).double())
    with pytest.raises(TaskError, match="the head has 2 for 3 classes"):
        sumix()(X, torch.zeros(7, dtype=torch.int64), rng=generator(), module=narrow)
    with pytest.raises(MissingFactError, match="n_classes"):
        LossRegressor(mixup="sumix", max_epochs=1).fit(X.numpy(), X[:, 0].numpy())


@pytest.mark.parametrize("params", [{}, {"mixup__mix": "mixup", "mixup__weight": 0.0}])
def test_trains_by_name(params):
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(mixup=Mixup("sumix"), max_epochs=20, random_state=0).set_params(**params)
    assert model.fit(X, y).score(X, y) > 0.9


def test_two_classes_with_one_score_train_too():
    X, y = load_digits(n_class=2, return_X_y=True)
    model = LossClassifier("bce", mixup="sumix", max_epochs=5, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
