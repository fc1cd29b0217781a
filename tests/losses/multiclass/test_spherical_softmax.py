import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.spherical_softmax import spherical_shares, spherical_softmax


def naive(logits, y, eps):
    rows = [[z * z + eps for z in row] for row in logits.tolist()]
    values = [-math.log(row[label] / sum(row)) for row, label in zip(rows, y.tolist(), strict=True)]
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("eps", [1e-6, 1e-3, 0.5])
def test_equals_the_formula_in_plain_loops(three_rows, eps):
    assert_close(spherical_softmax(*three_rows, eps=eps), naive(*three_rows, eps))


def test_gives_the_worked_numbers(three_rows):
    wanted = torch.tensor([0.223493, 0.224541, 0.105549], dtype=torch.float64)
    assert_close(spherical_softmax(*three_rows), wanted, atol=1e-6, rtol=0)


def test_the_sign_of_a_score_means_nothing(three_rows):
    logits, y = three_rows
    signs = torch.tensor([[-1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, -1.0, -1.0]], dtype=torch.float64)
    assert_close(spherical_softmax(signs * logits, y), spherical_softmax(logits, y))
    assert_close(spherical_shares(signs * logits), spherical_shares(logits))


def test_the_scale_of_the_scores_cancels_where_eps_is_nothing(three_rows):
    logits, y = three_rows
    assert_close(spherical_softmax(7 * logits, y, eps=1e-12), spherical_softmax(logits, y, eps=1e-12))
    assert (spherical_softmax(7 * logits, y, eps=0.5) - spherical_softmax(logits, y, eps=0.5)).abs().min() > 0.01


@pytest.mark.parametrize("eps", [1e-3, 0.2])
def test_the_shares_are_probabilities_and_the_loss_is_their_logarithm(three_rows, eps):
    logits, y = three_rows
    shares = spherical_shares(logits, eps=eps)
    assert_close(shares.sum(1), torch.ones(3, dtype=torch.float64))
    assert_close(spherical_softmax(logits, y, eps=eps), -shares[torch.arange(3), y].log())


def test_the_expected_loss_is_least_where_the_shares_are_the_truth():
    truth = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    scores = (5 * truth - 1e-3).sqrt() * torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    assert_close(spherical_shares(scores[None])[0], truth)
    leaf = scores.expand(4, 4).clone().requires_grad_()
    (gradient,) = torch.autograd.grad((truth * spherical_softmax(leaf, torch.arange(4))).sum(), leaf)
    assert gradient.abs().sum() > 0.1
    assert_close(gradient.sum(0), torch.zeros(4, dtype=torch.float64))


def test_a_score_of_zero_has_no_gradient_and_costs_a_finite_amount():
    leaf = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    value = spherical_softmax(leaf, torch.tensor([1]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.item() == pytest.approx(math.log(4))
    assert torch.equal(gradient, torch.zeros(1, 4, dtype=torch.float64))


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: spherical_softmax(z, y), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_large_and_for_tiny_scores(dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-1e6, 1e6, 1e-9]], dtype=dtype, requires_grad=True)
    value = spherical_softmax(leaf, torch.tensor([0, 2]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_takes_its_hyperparameter_as_a_tensor(three_rows):
    eps = torch.tensor(0.01, dtype=torch.float64)
    assert_close(spherical_softmax(*three_rows, eps=eps), spherical_softmax(*three_rows, eps=0.01))


def test_learns_by_name_and_the_probabilities_are_those_of_the_squares():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(Loss("spherical_softmax", eps=0.01), max_epochs=15, random_state=0).fit(X, y)
    proba = model.predict_proba(X)
    assert (proba.argmax(1) == y).mean() > 0.95
    np.testing.assert_allclose(proba.sum(1), 1)
    assert (proba.argmax(1) == model.predict(X)).all()
