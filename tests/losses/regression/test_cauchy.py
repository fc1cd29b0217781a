import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_regression
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.cauchy import cauchy

GAPS = torch.tensor([-7.0, -2.0, -0.3, 0.0, 0.2, 1.5, 40.0], dtype=torch.float64)


def test_gives_the_worked_number():
    values = cauchy(torch.tensor([[3.0, 4.0]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64), c=0.1)
    assert_close(values, torch.tensor([7.1316985], dtype=torch.float64), rtol=0, atol=1e-6)


def pull(gaps, c):
    gaps = gaps.clone().requires_grad_()
    cauchy(gaps[:, None], torch.zeros_like(gaps)[:, None], c=c).sum().backward()
    return gaps.grad


def test_pull_is_that_of_the_formula_and_largest_at_root_two():
    assert_close(pull(GAPS, 0.7), 2 * GAPS / (2 * 0.7**2 + GAPS**2))
    around = torch.tensor([1.3, 2**0.5, 1.5], dtype=torch.float64)
    assert pull(around, 1.0).argmax() == 1
    assert pull(torch.tensor([1e6]), 1.0) < 1e-5


def test_is_the_squared_error_for_a_large_scale():
    values = cauchy(GAPS[:, None], torch.zeros(7, 1, dtype=torch.float64), c=1e4)
    assert_close(values, GAPS.square() / 2e8, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("c", [0.3, 2.0])
def test_each_target_may_have_its_own_gap(c):
    prediction = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    apart = cauchy(prediction, torch.zeros_like(prediction), c=c, joint=False)
    assert_close(apart, torch.log1p(prediction**2 / (2 * c**2)))


@pytest.mark.parametrize(("epoch", "width"), [(0, 8.0), (2, 8**0.5), (4, 1.0), (9, 1.0), (None, 1.0)])
def test_scale_falls_by_the_same_ratio_in_each_epoch_of_the_warmup(epoch, width):
    five, zero = torch.tensor([[3.0, 4.0]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    value = cauchy(five, zero, epoch=epoch, start=8.0, warmup=4).item()
    assert value == pytest.approx(math.log1p(25 / (2 * width**2)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gross_outliers_harm_it_less_than_the_squared_error(seed):
    X, y = make_regression(300, 5, noise=5.0, random_state=seed)
    y /= y.std()
    wrong = y.copy()
    wrong[:60] += 20 * np.random.default_rng(seed).choice([0.5, 1.0, 1.5], 60)
    errors = {}
    for loss in (Loss("cauchy", c=0.3), Loss("mse")):
        model = LossRegressor(loss, max_epochs=60, lr=0.01, hidden_layer_sizes=(), random_state=seed).fit(X, wrong)
        errors[loss.spec] = np.abs(model.predict(X) - y).mean()
    assert errors["cauchy"] < errors["mse"] / 2
