import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss.functional.numerics import absent_as_rarest, box_cox, log_odds


def test_log_odds_are_those_of_the_softmax(three_rows):
    logits, y = three_rows
    p = torch.softmax(logits, 1)[torch.arange(3), y]
    assert_close(log_odds(logits, y), torch.log(p / (1 - p)))


def test_log_odds_keep_every_digit_where_the_probability_rounds_to_one():
    sure = torch.tensor([[90.0, 0.0, 0.0]], dtype=torch.float64)
    assert torch.softmax(sure, 1)[0, 0] == 1
    assert_close(log_odds(sure, torch.tensor([0])), torch.tensor([90 - math.log(2)], dtype=torch.float64))


def test_log_odds_have_exact_first_and_second_derivatives(three_rows):
    logits, y = three_rows
    leaf = logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: log_odds(z, y), leaf)
    assert torch.autograd.gradgradcheck(lambda z: log_odds(z, y), leaf)


@pytest.mark.parametrize("power", [-1.0, -0.3, 0.5, 1.0, 2.0])
def test_box_cox_is_the_power_less_one_over_the_power(power):
    x = torch.tensor([0.01, 0.4, 1.0, 3.0], dtype=torch.float64)
    assert_close(box_cox(x.log(), power), (x**power - 1) / power)


@pytest.mark.parametrize("power", [0.0, 1e-300, -1e-300, 1e-12, -1e-12])
def test_box_cox_tends_to_the_logarithm_with_a_gradient_of_one(power):
    log_x = torch.tensor([-400.0, -1e-9, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    value = box_cox(log_x, power)
    (gradient,) = torch.autograd.grad(value.sum(), log_x)
    assert_close(value, log_x.detach(), rtol=1e-9, atol=0, check_stride=False)
    assert_close(gradient, torch.ones(4, dtype=torch.float64), rtol=1e-9, atol=0)


def test_box_cox_goes_on_along_its_tangent_instead_of_overflowing():
    log_x = torch.tensor([29.0, 30.0, 31.0, 400.0], requires_grad=True)
    value = box_cox(log_x, 1.0)
    (gradient,) = torch.autograd.grad(value.sum(), log_x)
    assert value.isfinite().all()
    assert (value.diff() > 0).all()
    assert_close(gradient[2:], torch.full((2,), math.exp(30)))


@pytest.mark.parametrize("power", [0.0, 0.7])
def test_box_cox_takes_its_power_as_a_tensor_and_keeps_the_dtype(power):
    log_x = torch.tensor([-1.0, -2.0])
    assert_close(box_cox(log_x, torch.tensor(power, dtype=torch.float64)), box_cox(log_x, power))
    assert box_cox(log_x.bfloat16(), power).dtype == torch.bfloat16


def test_absent_classes_count_as_the_rarest_and_others_stay():
    assert absent_as_rarest(torch.tensor([5.0, 0.0, 2.0, 0.0])).tolist() == [5, 2, 2, 2]
    shares = torch.tensor([0.2, 0.8])
    assert torch.equal(absent_as_rarest(shares), shares)


def test_log_sigmoids_of_the_log_odds_are_both_log_probabilities(three_rows):
    logits, y = three_rows
    odds = log_odds(logits, y)
    assert_close(F.logsigmoid(odds), -F.cross_entropy(logits, y, reduction="none"))
    assert_close(F.logsigmoid(odds).exp() + F.logsigmoid(-odds).exp(), torch.ones(3, dtype=torch.float64))
