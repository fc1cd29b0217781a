import math

import numpy as np
import pytest
import torch

from sklearnloss import LossRegressor
from sklearnloss.losses.regression.cs_div import cs_div

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(8, 3, generator=GENERATOR, dtype=torch.float64)
Y = torch.randn(8, 2, generator=GENERATOR, dtype=torch.float64)
PREDICTION = torch.randn(8, 2, generator=GENERATOR, dtype=torch.float64)
SCALE = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)


@pytest.mark.parametrize("denominator", ["squared_sum", "sum_of_squares"])
def test_equals_the_formula_in_plain_loops(denominator):
    def kernel(a, b, width):
        return math.exp(-float((a - b).square().sum()) / (2 * width**2))

    def f(a, b):
        total = 0.0
        for j in range(8):
            k = [kernel(X[j] / SCALE, X[i] / SCALE, 1.5) for i in range(8)]
            norm = sum(k) ** 2 if denominator == "squared_sum" else sum(value**2 for value in k)
            total += sum(k[i] * kernel(a[j], b[i], 0.7) for i in range(8)) / norm
        return total

    wanted = math.log2(f(Y, Y)) + math.log2(f(PREDICTION, PREDICTION)) - 2 * math.log2(f(PREDICTION, Y))
    value = cs_div(PREDICTION, Y, X=X, x_scale=SCALE, sigma=0.7, x_sigma=1.5, denominator=denominator)
    assert float(value) == pytest.approx(wanted)


@pytest.mark.parametrize("denominator", ["squared_sum", "sum_of_squares"])
def test_is_zero_where_predictions_are_targets(denominator):
    assert float(cs_div(Y, Y, X=X, x_scale=SCALE, denominator=denominator)) == pytest.approx(0, abs=1e-12)


def test_predictions_far_from_everything_still_have_a_gradient():
    far = (PREDICTION.float() + 50).requires_grad_()
    value = cs_div(far, Y.float(), X=X.float(), x_scale=SCALE.float())
    value.backward()
    assert value.isfinite()
    assert far.grad.isfinite().all()
    assert (far.grad.mean(0) > 0).all()


def test_gradients_are_those_of_finite_differences():
    def value(prediction):
        return cs_div(prediction, Y, X=X, x_scale=SCALE)

    assert torch.autograd.gradcheck(value, PREDICTION.clone().requires_grad_())


def test_a_few_gross_errors_in_the_targets_move_it_less_than_squared_errors():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 2))
    clean = rows @ [1.0, -1.0]
    y = clean + np.where(rng.uniform(size=200) < 0.1, 20.0, 0.0)
    off = {}
    for name in ("mse", "cs_div"):
        model = LossRegressor(name, hidden_layer_sizes=(), lr=0.02, max_epochs=80, random_state=0).fit(rows, y)
        off[name] = np.abs(model.predict(rows) - clean).mean()
    assert off["cs_div"] < off["mse"]
