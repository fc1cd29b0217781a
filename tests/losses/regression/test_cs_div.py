import math

import pytest
import torch
from sklearn.datasets import load_diabetes
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.cs_div import cs_div


@pytest.fixture
def X():
    return torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def kernel(a, b, width):
    return math.exp(-(math.dist(a, b) ** 2) / (2 * width**2))


@pytest.mark.parametrize("denominator", ["squared_sum", "sum_of_squares"])
def test_equals_the_formula_in_plain_loops(numbers, X, denominator):
    prediction, y = numbers

    def f(a, b):
        total = 0.0
        for j in range(7):
            near = [kernel(X[j], X[i], 1.5 * 3**0.5) for i in range(7)]
            norm = sum(near) ** 2 if denominator == "squared_sum" else sum(k**2 for k in near)
            total += sum(near[i] * kernel(a[j], b[i], 0.8) for i in range(7)) / norm
        return total

    wanted = math.log2(f(y, y)) + math.log2(f(prediction, prediction)) - 2 * math.log2(f(prediction, y))
    value = cs_div(prediction, y, X=X, x_width=1.5, y_width=0.8, denominator=denominator)
    assert value.item() == pytest.approx(wanted)


def test_is_zero_where_predictions_equal_targets(numbers, X):
    assert cs_div(numbers[1], numbers[1], X=X) == 0


def test_the_two_denominators_differ_away_from_the_targets(numbers, X):
    plain, authors = (cs_div(*numbers, X=X, denominator=d) for d in ("squared_sum", "sum_of_squares"))
    assert (plain - authors).abs() > 1e-3


@pytest.mark.parametrize("offset", [1.0, 10.0, 200.0])
def test_an_offset_of_equal_targets_costs_its_square_in_bits(X, offset):
    y = torch.zeros(7, 1, dtype=torch.float64)
    value = cs_div(y + offset, y, X=X, y_width=2.0)
    assert value.item() == pytest.approx(offset**2 / (4 * math.log(2)))


def test_weight_two_is_the_row_twice_and_weight_zero_none(numbers, X):
    prediction, y = numbers
    weights = torch.tensor([2.0, 1, 1, 0, 1, 2, 1], dtype=torch.float64)
    rows = torch.repeat_interleave(torch.arange(7), weights.long())
    weighted = cs_div(prediction, y, X=X, sample_weight=weights)
    assert_close(weighted, cs_div(prediction[rows], y[rows], X=X[rows]))


def test_inputs_are_compared_in_their_units(numbers, X):
    scale = torch.tensor([1.0, 100.0, 0.01], dtype=torch.float64)
    assert_close(cs_div(*numbers, X=scale * X, x_scale=scale), cs_div(*numbers, X=X))


def test_has_the_gradient_of_its_value(numbers, X):
    prediction, y = numbers
    assert torch.autograd.gradcheck(lambda p: cs_div(p, y, X=X), prediction.requires_grad_())


def test_one_outlier_pulls_less_than_an_ordinary_row(X):
    y = torch.tensor([[0.3], [-0.5], [0.1], [0.8], [-0.2], [0.5], [20.0]], dtype=torch.float64)
    leaf = torch.zeros_like(y).requires_grad_()
    cs_div(leaf, y, X=X).backward()
    assert leaf.grad[6].abs() < leaf.grad[:6].abs().max()


def test_goes_on_from_the_squared_error():
    X, y = load_diabetes(return_X_y=True)
    model = LossRegressor("mse", max_epochs=20, lr=0.01, warm_start=True, random_state=0).fit(X, y)
    before = cs_of(model, X, y)
    model.set_params(loss=Loss("cs_div")).fit(X, y)
    assert model.score(X, y) > 0.4
    assert cs_of(model, X, y) < before


def cs_of(model, X, y):
    predicted = torch.as_tensor(model.predict(X))[:, None]
    return cs_div(predicted / y.std(), torch.as_tensor(y)[:, None] / y.std(), X=torch.as_tensor(X / X.std(0)))
