import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, loss, mixup


@mixup("toy_mixup")
def toy_mixup(X, y, *, rng, strength: float = 0.5):
    order = torch.randperm(len(X), generator=rng)
    lam = 1 - strength * torch.rand((), generator=rng, dtype=X.dtype)
    return lam * X + (1 - lam) * X[order], y, y[order], lam


@loss("noisy", task="multiclass")
def noisy(logits, y, *, rng):
    noise = torch.rand(logits.shape, generator=rng, dtype=logits.dtype)
    return cross_entropy(logits + noise, y, reduction="none")


@loss("noisy_state", task="multiclass")
class NoisyState(nn.Module):
    def __init__(self, *, generator):
        super().__init__()
        self.generator = generator
        self.start = nn.Parameter(torch.randn(3))  # from torch's generator, which fit seeds

    def forward(self, logits, y):
        noise = torch.rand(logits.shape, generator=self.generator, dtype=logits.dtype)
        return cross_entropy(logits + self.start + noise, y, reduction="none")


class Backbone(nn.Sequential):
    def __init__(self, n_features):
        super().__init__(nn.Linear(n_features, 8), nn.ReLU(), nn.Dropout(0.3))


WAYS = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "mixup": {"mixup": toy_mixup},
    "noise": {"loss": noisy},
    "state": {"loss": NoisyState},
    "several terms": {"loss": Loss("cross_entropy") + 0.1 * Loss(noisy)},
    "sampler": {"sampler": "per_class"},
    "held out": {"early_stopping": True, "calibrate": "sigmoid", "validation_fraction": 0.2},
    "own module": {"module": Backbone},
}


def weights(model):
    return [t.clone() for t in model.net_.state_tensors()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("way", list(WAYS.values()), ids=list(WAYS))
def test_equal_seeds_give_equal_weights_to_the_bit(quick, blobs, way):
    X, y = blobs
    params = {"batch_size": 16, "max_epochs": 3, **way}
    torch.manual_seed(1)
    first = quick(**params).fit(X, y)
    torch.manual_seed(2)
    assert same(first, quick(**params).fit(X, y))
    assert not same(first, quick(**params, random_state=1).fit(X, y))


@pytest.mark.parametrize("way", list(WAYS.values()), ids=list(WAYS))
def test_global_generators_are_left_as_they_were(quick, blobs, way):
    X, y = blobs
    random.seed(3)
    np.random.seed(4)
    torch.manual_seed(5)
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    model = quick(batch_size=16, max_epochs=2, random_state=None, **way).fit(X, y)
    model.predict(X)
    if "early_stopping" not in way:
        model.partial_fit(X, y)
    assert random.getstate() == before[0]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), before[1], strict=True))
    assert torch.equal(torch.get_rng_state(), before[2])


def test_global_generators_are_left_as_they_were_when_a_fit_fails(quick, blobs):
    torch.manual_seed(5)
    before = torch.get_rng_state()

    @loss("breaking", task="multiclass")
    def breaking(logits, y):
        torch.rand(3)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        quick(breaking).fit(*blobs)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_random_state_is_drawn_from_at_each_fit(quick, blobs):
    X, y = blobs
    model = quick(max_epochs=1, random_state=np.random.RandomState(0))
    first = weights(model.fit(X, y))
    second = weights(model.fit(X, y))
    assert not all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    again = quick(max_epochs=1, random_state=np.random.RandomState(0)).fit(X, y)
    assert all(torch.equal(a, b) for a, b in zip(first, weights(again), strict=True))


def test_without_a_seed_two_fits_differ(quick, blobs):
    X, y = blobs
    assert not same(*(quick(max_epochs=1, random_state=None).fit(X, y) for _ in range(2)))


def test_predictions_between_calls_change_nothing(quick, blobs):
    X, y = blobs
    quiet, asked = quick(dropout=0.3), quick(dropout=0.3)
    for _ in range(3):
        quiet.partial_fit(X, y)
        asked.partial_fit(X, y).predict_proba(X)
        asked.score(X, y)
    assert same(quiet, asked)


def test_the_numbers_of_calls_of_partial_fit_go_on_instead_of_repeating(quick, blobs):
    X, y = blobs
    seen = []

    @loss("watching", task="multiclass")
    def watching(logits, y, *, index):
        seen.append(index.tolist())
        return cross_entropy(logits, y, reduction="none")

    quick(watching, max_epochs=3).fit(X, y)
    assert seen[0] != seen[1] != seen[2]
    kept = list(seen)
    seen.clear()
    quick(watching, max_epochs=3).fit(X, y)
    assert seen == kept


def test_dropout_is_off_in_prediction(quick, blobs):
    X, y = blobs
    model = quick(dropout=0.5).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))


def test_a_factory_gets_the_seed_it_names(quick, blobs):
    X, y = blobs
    seeds = []

    def factory(n_features, random_state):
        seeds.append(random_state)
        return nn.Linear(n_features, 4)

    for seed in (0, 0, 1):
        quick(module=factory, max_epochs=1, random_state=seed).fit(X, y)
    assert seeds[0] == seeds[1] != seeds[2]
