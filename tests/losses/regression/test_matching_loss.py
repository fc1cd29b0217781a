import numpy as np
import pytest
import torch
from scipy import integrate
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.matching_loss import activated, matching_loss

ACTIVATIONS = ("identity", "leaky_relu", "relu", "sigmoid", "softplus")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("z", [-40.0, -2.0, -0.1, 0.0, 0.3, 5.0, 40.0])
def test_is_the_integral_of_the_miss(activation, z):
    def miss(r):
        return activated(torch.tensor(r, dtype=torch.float64), activation=activation).item() - 0.7

    expected = integrate.quad(miss, 0, z, epsabs=1e-12, epsrel=1e-12, limit=200)[0]
    value = matching_loss(torch.tensor([[z]], dtype=torch.float64), torch.tensor([[0.7]]), activation=activation)
    assert value.item() == pytest.approx(expected, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slope_is_the_miss_to_the_last_digit(activation):
    z = torch.linspace(-50, 50, 201, dtype=torch.float64)[:, None].requires_grad_()
    y = torch.full_like(z, 0.7)
    matching_loss(z, y, activation=activation).sum().backward()
    wanted = activated(z.detach(), activation=activation) - y
    away = (z.detach() != 0) | (activation not in ("relu", "leaky_relu"))  # but at the kink
    assert_close(z.grad[away], wanted[away], rtol=1e-13, atol=1e-13)


def test_is_half_the_squared_error_for_the_identity(numbers):
    z, y = numbers
    assert_close(matching_loss(z, y, activation="identity"), (z - y).square() / 2 - y.square() / 2)


def test_is_binary_cross_entropy_for_the_sigmoid(numbers):
    z, y = numbers
    y = y.sigmoid()
    wanted = F.binary_cross_entropy_with_logits(z, y, reduction="none") - np.log(2)
    assert_close(matching_loss(z, y, activation="sigmoid"), wanted)


def test_a_relu_that_is_off_still_follows_its_target():
    z = torch.tensor([[-3.0]], requires_grad=True)
    matching_loss(z, torch.tensor([[2.0]]), activation="relu").backward()
    assert z.grad.item() == -2.0


def test_clip_bounds_the_size_of_targets(numbers):
    z, y = numbers
    assert_close(matching_loss(z, 100 * y, clip=2.0), matching_loss(z, (100 * y).clamp(-2, 2)))


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "softplus"])
def test_has_the_gradient_of_its_value(numbers, activation):
    z, y = numbers
    assert torch.autograd.gradcheck(lambda p: matching_loss(p, y, activation=activation), z.requires_grad_())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_neuron_learns_and_predicts_through_its_activation(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, 4))
    y = np.maximum(X @ [1.0, -1.0, 0.5, 0.0] - 0.5, 0)
    model = LossRegressor(
        Loss("matching_loss", activation="relu"), hidden_layer_sizes=(), lr=0.05, max_epochs=60, random_state=seed
    ).fit(X, y)
    predicted = model.predict(X)
    assert (predicted >= 0).all()
    assert np.abs(predicted - y).mean() < 0.05
