import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.conr import conr

F = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
Y = torch.tensor([[0.0], [0.5], [5.0]], dtype=torch.float64)
PREDICTION = torch.tensor([[0.0], [0.4], [0.9]], dtype=torch.float64)


def test_gives_the_worked_numbers():
    values = conr(PREDICTION, Y, features=F, window=1.0)
    assert_close(values, torch.tensor([0.0190717, 0.3255645, 0.0], dtype=torch.float64), atol=1e-6, rtol=0)
    assert float(values.mean()) == pytest.approx(0.1148787, abs=1e-6)


def naive(prediction, y, features, window, tau, push):
    unit = features / features.norm(dim=1, keepdim=True)
    values = []
    for i in range(len(y)):
        others = [j for j in range(len(y)) if j != i]
        apart = {j: float((y[i] - y[j]).abs().sum()) for j in others}
        near = {j: float((prediction[i] - prediction[j]).abs().sum()) <= window for j in others}
        s = {j: math.exp(float(unit[i] @ unit[j]) / tau) for j in others}
        positive = [j for j in others if apart[j] <= window]
        negative = [j for j in others if apart[j] > window and near[j]]
        total = sum(s[j] for j in positive) + sum(math.exp(push * apart[j]) * s[j] for j in negative)
        terms = [math.log(total / s[j]) for j in positive]
        values.append(sum(terms) / len(terms) if positive and negative else 0.0)
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("push", [0.0, 0.5])
def test_equals_the_formula_in_plain_loops(push):
    generator = torch.Generator().manual_seed(0)
    prediction, y = (torch.randn(9, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    features = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    values = conr(prediction, y, features=features, window=1.5, tau=0.3, push=push)
    assert (values > 0).any()
    assert_close(values, naive(prediction, y, features, 1.5, 0.3, push))


def test_predictions_apart_like_their_targets_and_a_window_over_everything_cost_nothing():
    assert (conr(10 * Y, Y, features=F, window=1.0) == 0).all()
    assert (conr(PREDICTION, Y, features=F, window=6.0) == 0).all()


def test_the_gradient_goes_to_the_features_only_and_grows_with_push():
    prediction, features = PREDICTION.clone().requires_grad_(), F.clone().requires_grad_()
    conr(prediction, Y, features=features, window=1.0).sum().backward()
    assert prediction.grad is None
    assert features.grad.abs().max() > 0
    low, high = (conr(PREDICTION, Y, features=F, window=1.0, push=push).sum() for push in (0.0, 1.0))
    assert low < high


def test_it_is_a_term_beside_a_loss_that_predicts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    y = np.exp(X @ [1.0, 0.5, 0.0])
    both = Loss("mae") + 4 * Loss("conr", window=0.2)
    model = LossRegressor(both, lr=0.01, max_epochs=30, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.5
    plain = LossRegressor("mae", lr=0.01, max_epochs=30, random_state=0).fit(X, y)
    assert not np.allclose(plain.predict(X), model.predict(X))
