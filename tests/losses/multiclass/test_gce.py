import math

import pytest
import torch
from sklearn.datasets import load_iris
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.multiclass.comp_sum import comp_sum
from sklearnloss.losses.multiclass.gce import gce


def naive(logits, y, q):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(z) for z in row)
        values.append((1 - p**q) / q)
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.7, 1.0])
def test_equals_the_formula_in_plain_loops(three_rows, q):
    assert_close(gce(*three_rows, q=q), naive(*three_rows, q))


def test_gives_the_worked_numbers(three_rows):
    wanted = torch.tensor([0.160138, 0.541220, 0.064388], dtype=torch.float64)
    assert_close(gce(*three_rows), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.7, 1.0])
def test_is_the_comp_sum_loss_at_one_more(three_rows, q):
    assert_close(gce(*three_rows, q=q), comp_sum(*three_rows, tau=1 + q), rtol=1e-12, atol=1e-12)


def test_tends_to_cross_entropy_as_q_falls(three_rows):
    assert_close(gce(*three_rows, q=1e-8), F.cross_entropy(*three_rows, reduction="none"), atol=1e-7, rtol=0)


def test_is_one_less_the_probability_at_q_one(three_rows):
    logits, y = three_rows
    assert_close(gce(logits, y, q=1.0), 1 - torch.softmax(logits, 1)[torch.arange(3), y])


def test_is_never_above_one_over_q():
    logits = torch.tensor([[-500.0, 500.0], [-5.0, 5.0]])
    assert (gce(logits, torch.tensor([0, 0]), q=0.25) <= 4.0).all()


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: gce(z, y), logits.clone().requires_grad_())


def test_q_zero_is_refused_by_name_and_range():
    with pytest.raises(ParameterError, match=r"loss 'gce': q must be a float in \(0, 1\], got 0"):
        Loss("gce", q=0.0).choose()


def test_learns_by_name():
    X, y = load_iris(return_X_y=True)
    assert LossClassifier("gce", max_epochs=60, lr=1e-2, random_state=0).fit(X, y).score(X, y) > 0.95
