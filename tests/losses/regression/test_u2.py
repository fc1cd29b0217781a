import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.u2 import u2

Y = torch.tensor([[1.0], [-1.0], [2.0]], dtype=torch.float64)


def slopes(prediction, y, **params):
    prediction = prediction.clone().requires_grad_()
    u2(prediction, y, **params).backward()
    return prediction.grad


def test_where_the_share_is_that_of_the_batch_rows_pull_as_worked_out():
    wanted = torch.tensor([[-2.0], [1.0], [-4.0]], dtype=torch.float64) / 3
    assert_close(slopes(torch.zeros_like(Y), Y, upper_share=2 / 3), wanted)


def test_what_lies_below_the_prediction_is_not_looked_at():
    other = torch.where(Y < 0, -100.0, Y)
    assert_close(u2(torch.zeros_like(Y), other), u2(torch.zeros_like(Y), Y))


def test_with_nothing_above_every_row_is_pushed_down_at_slope_one():
    assert_close(
        slopes(torch.full((3, 1), 9.0, dtype=torch.float64), Y), torch.full((3, 1), 1 / 3, dtype=torch.float64)
    )


def test_absolute_costs_with_a_share_of_one_half_have_no_slope_in_a_constant():
    prediction = torch.full((3, 1), 0.5, dtype=torch.float64)
    assert float(slopes(prediction, Y, upper="absolute", upper_share=0.5).sum()) == pytest.approx(0)


def test_the_noise_decides_the_share():
    prediction = torch.zeros_like(Y)
    assert_close(u2(prediction, Y, noise_std=0.15), u2(prediction, Y, upper_share=1 / 1.24))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lowered_targets_bias_it_less_than_the_squared_error(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(500, 3))
    clean = 5 + X @ [1.0, 0.5, -0.5] + 0.15 * rng.normal(size=500)
    y = np.where(rng.uniform(size=500) < 0.4, clean * rng.uniform(size=500), clean)
    bias = {}
    for name in ("mse", Loss("u2", upper_share=0.8)):
        model = LossRegressor(name, hidden_layer_sizes=(16,), lr=0.01, max_epochs=60, random_state=0).fit(X, y)
        bias[str(name)] = abs((model.predict(X) - clean).mean())
    assert bias.pop("mse") > 1.5 * min(bias.values())
