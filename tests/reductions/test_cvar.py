import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.datasets import load_iris
from torch.testing import assert_close

from sklearnloss import LossClassifier, Reduction
from sklearnloss.exceptions import ParameterError
from sklearnloss.reductions.cvar import cvar
from sklearnloss.reductions.mean import mean

VALUES = torch.tensor([3.0, -1.0, 4.0, 2.0, 0.5], dtype=torch.float64)
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.5, 1.0], dtype=torch.float64)
BETAS = [0.0, 0.1, 0.3, 0.5, 0.8, 0.99]


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=n)), torch.tensor(rng.gamma(1.0, size=n))


def in_loops(values, weights, beta):
    """Take rows, the worst first, until their weight is the share that counts."""
    room = share = (1 - beta) * sum(weights)
    total = 0.0
    for value, weight in sorted(zip(values, weights, strict=True), reverse=True):
        taken = min(weight, room)
        total, room = total + taken * value, room - taken
    return total / share * sum(weights) / len(values)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("n", [1, 2, 17])
def test_is_the_mean_of_the_worst_share(n, beta):
    values, weights = drawn(n)
    assert cvar(values, weights, beta=beta).item() == pytest.approx(in_loops(values.tolist(), weights.tolist(), beta))


@pytest.mark.parametrize("beta", BETAS)
def test_is_the_minimum_over_thresholds(beta):
    values, weights = drawn(9, seed=1)

    def objective(t):
        return (weights * (t + (values - t).clamp(min=0) / (1 - beta))).mean().item()

    least = min(objective(v.item()) for v in values)  # the objective is linear between the values
    assert cvar(values, weights, beta=beta).item() == pytest.approx(least)
    assert minimize_scalar(objective, bounds=(-5, 5), method="bounded").fun >= least - 1e-9


def test_the_last_value_counts_in_part():
    values = torch.tensor([6.0, 3.0, 2.0, 1.0], requires_grad=True)
    value = cvar(values, torch.ones(4), beta=0.625)  # one and a half rows of four
    value.backward()
    assert value.item() == pytest.approx((6 + 3 / 2) / 1.5)
    assert values.grad.tolist() == pytest.approx([1 / 1.5, 0.5 / 1.5, 0, 0])


def test_without_a_share_left_out_it_is_the_mean():
    assert_close(cvar(VALUES, WEIGHTS, beta=0.0), mean(VALUES, WEIGHTS))


def test_with_nearly_all_left_out_it_is_the_largest_value():
    assert_close(cvar(VALUES, torch.ones_like(VALUES), beta=1 - 1e-9), VALUES.max())


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_never_below_the_mean(beta, seed):
    values, weights = drawn(20, seed)
    assert cvar(values, weights, beta=beta) >= mean(values, weights) - 1e-12


@pytest.mark.parametrize("beta", BETAS)
def test_equal_values_stay_what_they_are(beta):
    weights = torch.tensor([0.5, 2.0, 0.5])
    assert cvar(torch.full((3,), 0.7), weights, beta=beta).item() == pytest.approx(0.7)


@pytest.mark.parametrize("beta", BETAS)
def test_a_weight_of_two_is_a_row_twice(beta):
    twice = torch.cat([VALUES, VALUES[:1]])
    weights = torch.tensor([2.0, 1, 1, 1, 1], dtype=torch.float64)
    ours = cvar(VALUES, weights, beta=beta) * 5  # of five rows, of six
    assert_close(ours, cvar(twice, torch.ones_like(twice), beta=beta) * 6)


@pytest.mark.parametrize("wild", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_a_value_of_weight_zero_counts_for_nothing(wild, beta):
    values = torch.tensor([1.0, 2.0, wild, 3.0], requires_grad=True)
    weights = torch.tensor([1.0, 1.0, 0.0, 1.0])
    value = cvar(values, weights, beta=beta)
    value.backward()
    calm = cvar(torch.tensor([1.0, 2.0, 0.0, 3.0]), weights, beta=beta)
    assert_close(value.detach(), calm)
    assert torch.isfinite(values.grad[[0, 1, 3]]).all()
    assert values.grad[2] == 0


def test_a_batch_without_weight_is_zero_with_a_valid_gradient():
    values = VALUES.clone().requires_grad_()
    value = cvar(values, torch.zeros(5, dtype=torch.float64))
    value.backward()
    assert value == 0
    assert (values.grad == 0).all()


def test_the_gradient_is_that_of_the_value():
    values = VALUES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: cvar(v, WEIGHTS, beta=0.37), values)


@pytest.mark.parametrize("scale", [1e-30, 200.0, 1e30])
def test_small_and_large_values_keep_their_precision(scale):
    assert_close(cvar(VALUES * scale, WEIGHTS), cvar(VALUES, WEIGHTS) * scale, rtol=1e-12, atol=0)


def test_takes_the_share_as_a_tensor_and_keeps_the_dtype():
    ours = cvar(VALUES.float(), WEIGHTS.float(), beta=torch.tensor(0.3))
    assert ours.dtype == torch.float32
    assert_close(ours, cvar(VALUES.float(), WEIGHTS.float(), beta=0.3))


@pytest.mark.parametrize("beta", [1.0, -0.1])
def test_a_share_outside_its_range_is_refused(beta):
    with pytest.raises(ParameterError, match=r"beta must be a float in \[0, 1\)"):
        Reduction("cvar", beta=beta).choose()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_training_lowers_the_worst_losses_more_than_the_mean_does(seed):
    X, y = load_iris(return_X_y=True)
    worst = []
    for reduction in ("mean", Reduction("cvar", beta=0.9)):
        model = LossClassifier(reduction=reduction, max_epochs=60, batch_size=150, random_state=seed).fit(X, y)
        losses = np.sort(-np.log(model.predict_proba(X)[np.arange(150), y]))
        worst.append(losses[-15:].mean())
    assert worst[1] < worst[0]


def test_trains_by_name():
    X, y = load_iris(return_X_y=True)
    assert LossClassifier(reduction="cvar", max_epochs=60, random_state=0).fit(X, y).score(X, y) > 0.9
