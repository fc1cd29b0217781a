import math

import pytest
import torch
from sklearn.datasets import load_iris
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.focal import focal


def naive(logits, y, gamma):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(z) for z in row)
        values.append(-((1 - p) ** gamma) * math.log(p))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_equals_the_formula_in_plain_loops(three_rows, gamma):
    assert_close(focal(*three_rows, gamma=gamma), naive(*three_rows, gamma))


def test_is_cross_entropy_at_gamma_zero(three_rows):
    assert_close(focal(*three_rows, gamma=0.0), F.cross_entropy(*three_rows, reduction="none"))


def test_an_even_guess_between_two_classes_costs_a_power_of_a_half():
    even = torch.zeros(1, 2, dtype=torch.float64)
    assert_close(focal(even, torch.tensor([1]), gamma=3.0), torch.tensor([math.log(2) / 8], dtype=torch.float64))


def test_falls_as_gamma_rises(three_rows):
    values = torch.stack([focal(*three_rows, gamma=g) for g in (0.0, 0.5, 1.0, 2.0, 5.0)])
    assert (values.diff(dim=0) < 0).all()


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_gradient_flows_through_the_weight_too(three_rows, gamma):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: focal(z, y, gamma=gamma), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0])
def test_value_and_gradient_are_finite_for_sure_rows_right_or_wrong(gamma, dtype):
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0], [1e4, 0.0], [0.0, 1e4]], dtype=dtype, requires_grad=True)
    value = focal(logits, torch.zeros(4, dtype=torch.int64), gamma=gamma)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    assert_close(value[1].detach(), torch.tensor(400.0, dtype=dtype))
    assert_close(gradient[1], torch.tensor([-1.0, 1.0], dtype=dtype))


def test_the_weight_of_a_sure_row_keeps_its_digits():
    # 1 - p is exp(-40), which is nothing once it is subtracted from one
    value = focal(torch.tensor([[40.0, 0.0]], dtype=torch.float64), torch.tensor([0]), gamma=0.5)
    assert_close(value, torch.tensor([math.exp(-60)], dtype=torch.float64), rtol=1e-12, atol=0)


def test_learns_by_name():
    X, y = load_iris(return_X_y=True)
    assert LossClassifier("focal", max_epochs=60, lr=1e-2, random_state=0).fit(X, y).score(X, y) > 0.95
