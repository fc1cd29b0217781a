import math

import numpy as np
import pytest
import torch

from sklearnloss import Loss, LossRegressor
from sklearnloss.exceptions import MissingFactError
from sklearnloss.losses.regression.linear_invariance_mmr import linear_invariance_mmr

GENERATOR = torch.Generator().manual_seed(0)
A = torch.randn(40, 2, generator=GENERATOR, dtype=torch.float64)
NOISE = torch.randn(40, 3, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize("unbiased", [False, True])
def test_equals_the_formula_in_plain_loops(unbiased):
    features = A.square() @ torch.ones(2, 3, dtype=torch.float64) + NOISE
    rows = np.c_[A.numpy(), np.ones(40)]
    rest = features.numpy() - rows @ np.linalg.lstsq(rows, features.numpy(), rcond=None)[0]
    total = 0.0
    for i in range(40):
        for j in range(40):
            if i != j or not unbiased:
                near = math.exp(-float((A[i] - A[j]).square().sum()) / (2 * 1.5**2))
                total += near * float(rest[i] @ rest[j])
    wanted = total / (40 * 39 if unbiased else 1600)
    value = linear_invariance_mmr(features=features, exogenous=A, sigma=1.5, ridge=1e-12, unbiased=unbiased)
    assert float(value) == pytest.approx(wanted)


def test_linear_features_cost_nothing_curved_ones_much_and_noise_little():
    def value(features):
        return float(linear_invariance_mmr(features=features, exogenous=A))

    linear = A @ torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64) + 7
    assert value(linear) == pytest.approx(0, abs=1e-9)
    assert value(A.square()) > 5 * value(NOISE[:, :2]) > 0


def test_variables_that_do_not_vary_leave_a_finite_value_and_gradient():
    features = NOISE.clone().requires_grad_()
    value = linear_invariance_mmr(features=features, exogenous=torch.ones(40))
    value.backward()
    assert value.isfinite()
    assert features.grad.isfinite().all()


def test_gradients_are_those_of_finite_differences():
    def value(features):
        return linear_invariance_mmr(features=features, exogenous=A[:6])

    assert torch.autograd.gradcheck(value, NOISE[:6].clone().requires_grad_())


def test_it_is_a_term_that_asks_for_a_row_fact():
    rng = np.random.default_rng(0)
    dose = rng.uniform(-1, 1, size=150)
    X = np.stack([dose, dose**3, rng.normal(size=150)], axis=1)
    both = Loss("mse") + 10 * Loss("linear_invariance_mmr")
    with pytest.raises(MissingFactError, match="needs 'exogenous', an array with one row per sample"):
        LossRegressor(both).fit(X, dose)
    left = []
    for loss in (Loss("mse") + 0.0 * Loss("linear_invariance_mmr"), both):
        model = LossRegressor(loss, lr=0.01, max_epochs=30, random_state=0).fit(X, X[:, 1], exogenous=dose)
        left.append(model.history_[-1]["train_loss_linear_invariance_mmr"])
    assert left[1] < left[0]
