import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.matching_loss import activated, matching_loss

Z = torch.tensor([[-3.0], [-0.2], [0.4], [2.0]], dtype=torch.float64)
Y = torch.tensor([[1.0], [0.0], [2.0], [0.5]], dtype=torch.float64)
ACTIVATIONS = ["relu", "leaky_relu", "identity"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradient_is_the_miss(activation):
    z = Z.clone().requires_grad_()
    matching_loss(z, Y, activation=activation).sum().backward()
    assert_close(z.grad, activated(Z, activation=activation) - Y)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_is_the_integral_of_the_miss(activation):
    steps = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    points = steps * Z  # (4, 20000)
    wanted = ((activated(points, activation=activation) - Y) * Z).mean(1, keepdim=True)
    assert_close(matching_loss(Z, Y, activation=activation), wanted, rtol=1e-6, atol=1e-6)


def test_the_identity_is_half_the_squared_error():
    assert_close(matching_loss(Z, Y, activation="identity"), ((Z - Y).square() - Y.square()) / 2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_single_neuron_is_learned(activation):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = np.maximum(X @ [1.0, -2.0], 0)
    model = LossRegressor(
        Loss("matching_loss", activation=activation), hidden_layer_sizes=(), lr=0.05, max_epochs=60, random_state=0
    ).fit(X, y)
    assert model.score(X, y) > (0.99 if activation == "relu" else 0.6)
    assert activation == "identity" or model.predict(X).min() > -0.5
