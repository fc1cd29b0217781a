import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.balanced_mse import BalancedMSE

PREDICTION = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
def test_equals_the_formula_in_plain_loops(sigma):
    wanted = []
    for i in range(6):
        gaps = [float((PREDICTION[i] - Y[j]).square().sum()) / (2 * sigma**2) for j in range(6)]
        wanted.append(2 * sigma**2 * (gaps[i] + math.log(sum(math.exp(-g) for g in gaps))))
    values = BalancedMSE(sigma=sigma).double()(PREDICTION, Y)
    assert_close(values.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-6, atol=1e-6)


def test_one_row_costs_nothing():
    assert BalancedMSE()(torch.zeros(1, 1), torch.ones(1, 1)).tolist() == [0.0]


def test_equal_targets_cost_their_number_whatever_is_predicted():
    values = BalancedMSE(sigma=1.0, learn=False)(torch.arange(4.0)[:, None], torch.ones(4, 1))
    assert_close(values, torch.full((4,), 2 * math.log(4)))


def test_sigma_is_learned_unless_told_otherwise():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    for learn in (True, False):
        model = LossRegressor(Loss("balanced_mse", learn=learn), max_epochs=5, random_state=0).fit(X, X[:, 0])
        log_sigma = model.net_.criterion_.by_name["balanced_mse"].modules_[0].log_sigma
        assert (float(log_sigma.detach()) != pytest.approx(math.log(0.3))) == learn


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rare_targets_are_shrunk_less_than_by_the_squared_error(seed):
    rng = np.random.default_rng(seed)
    y = rng.exponential(size=400)
    X = np.c_[y + rng.normal(size=400)]
    rare = y > 2
    bias = {}
    for name in ("mse", "balanced_mse"):
        model = LossRegressor(name, hidden_layer_sizes=(), lr=0.05, max_epochs=60, random_state=0).fit(X, y)
        bias[name] = (model.predict(X) - y)[rare].mean()
    assert bias["mse"] < bias["balanced_mse"]
