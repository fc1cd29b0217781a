import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.u2 import u2


def gradient(prediction, y, **params):
    leaf = prediction.clone().requires_grad_()
    (found,) = torch.autograd.grad(u2(leaf, y, **params), leaf)
    return found


def test_equals_the_formula_in_plain_loops(numbers):
    prediction, y = numbers
    expected = 0.0
    for j in range(2):
        upper = [i for i in range(7) if y[i, j] >= prediction[i, j]]
        term = sum((y[i, j] - prediction[i, j]) ** 2 - prediction[i, j] for i in upper) / len(upper)
        expected += (prediction[:, j].mean() + 0.7 * term).item() / 2
    assert u2(prediction, y, upper_share=0.7).item() == pytest.approx(expected)


def test_slope_is_known_for_three_rows():
    y = torch.tensor([[1.0], [-1.0], [2.0]], dtype=torch.float64)
    found = gradient(torch.zeros(3, 1, dtype=torch.float64), y, upper_share=2 / 3)
    assert_close(found[:, 0], torch.tensor([-2 / 3, 1 / 3, -4 / 3], dtype=torch.float64))


def test_slope_is_that_of_all_targets_where_the_share_is_the_true_one(numbers):
    prediction, y = (t[:, :1] for t in numbers)
    leaf = prediction.clone().requires_grad_()
    upper = y >= prediction
    plain = torch.where(upper, (y - leaf).square(), leaf - y).mean()
    (wanted,) = torch.autograd.grad(plain, leaf)
    assert_close(gradient(prediction, y, upper_share=upper.double().mean().item()), wanted)


def test_targets_below_may_be_lower_by_any_amount(numbers):
    prediction, y = numbers
    lowered = torch.where(y < prediction, y - 1e6 * y.abs(), y)
    assert (lowered != y).any()
    assert u2(prediction, y) == u2(prediction, lowered)
    assert (gradient(prediction, y) == gradient(prediction, lowered)).all()


def test_noise_of_a_known_width_sets_the_share(numbers):
    assert_close(u2(*numbers, noise_std=0.15), u2(*numbers, upper_share=1 / 1.24))
    assert_close(u2(*numbers, noise_std=0.0, upper_share=0.5), u2(*numbers, upper_share=0.5))


def test_a_constant_stays_where_the_excess_is_that_of_the_share():
    y = torch.tensor([[0.5], [1.5], [-3.0], [-4.0]], dtype=torch.float64)  # a mean excess of 1 above 0
    assert gradient(torch.zeros(4, 1, dtype=torch.float64), y, upper_share=1 / 3).sum().item() == pytest.approx(0)


def test_the_prediction_falls_where_no_target_lies_above():
    found = gradient(torch.full((4, 2), 9.0), torch.zeros(4, 2))
    assert_close(found, torch.full((4, 2), 1 / 8))


def test_weight_two_is_the_row_twice_and_weight_zero_none(numbers):
    prediction, y = numbers
    weights = torch.tensor([2.0, 1, 1, 0, 1, 2, 1], dtype=torch.float64)
    rows = torch.repeat_interleave(torch.arange(7), weights.long())
    assert_close(u2(prediction, y, sample_weight=weights), u2(prediction[rows], y[rows]))


def test_has_the_gradient_of_its_value(numbers):
    prediction, y = numbers
    assert torch.autograd.gradcheck(lambda p: u2(p, y), prediction.requires_grad_())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_targets_that_are_often_too_low_bias_it_less_than_the_squared_error(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(600, 3))
    clean = 5 + X @ [1.0, 0.5, -0.5] + 0.2 * rng.normal(size=600)
    seen = np.where(rng.uniform(size=600) < 0.5, clean * rng.uniform(size=600), clean)
    bias = {}
    for loss in ("u2", "mse"):
        model = LossRegressor(Loss(loss), max_epochs=150, lr=0.01, hidden_layer_sizes=(), random_state=seed)
        bias[loss] = np.mean(model.fit(X, seen).predict(X) - clean)
    assert abs(bias["u2"]) < abs(bias["mse"]) / 2
    assert bias["mse"] < -0.5
