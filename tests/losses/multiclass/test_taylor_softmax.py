import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.multiclass.taylor_softmax import taylor_shares, taylor_softmax


def polynomial(z, order):
    return sum(z**i / math.factorial(i) for i in range(order + 1))


def naive(logits, y, order):
    rows = [[polynomial(z, order) for z in row] for row in logits.tolist()]
    values = [-math.log(row[label] / sum(row)) for row, label in zip(rows, y.tolist(), strict=True)]
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("factor", [1.0, -4.0])
def test_equals_the_formula_in_plain_loops(three_rows, order, factor):
    logits, y = factor * three_rows[0], three_rows[1]
    assert_close(taylor_softmax(logits, y, order=order), naive(logits, y, order))


def test_gives_the_worked_numbers(three_rows):
    wanted = torch.tensor([0.262364, 0.717840, 0.162519], dtype=torch.float64)
    assert_close(taylor_softmax(*three_rows), wanted, atol=1e-6, rtol=0)


def test_nears_cross_entropy_as_the_order_rises(three_rows):
    exact = F.cross_entropy(*three_rows, reduction="none")
    gaps = [(taylor_softmax(*three_rows, order=order) - exact).abs().max() for order in (2, 4, 6)]
    assert gaps[0] > 4 * gaps[1] > 16 * gaps[2] > 0


@pytest.mark.parametrize("order", [2, 4, 6])
def test_the_shares_are_probabilities_and_the_loss_is_their_logarithm(three_rows, order):
    logits, y = 3 * three_rows[0], three_rows[1]
    shares = taylor_shares(logits, order=order)
    assert_close(shares.sum(1), torch.ones(3, dtype=torch.float64))
    assert_close(taylor_softmax(logits, y, order=order), -shares[torch.arange(3), y].log())


@pytest.mark.parametrize("order", [1, 3, 5, 0])
def test_a_degree_whose_polynomial_may_be_negative_is_refused(order):
    with pytest.raises(ParameterError, match=f"loss 'taylor_softmax': order must be one of 2, 4, 6, got {order}"):
        Loss("taylor_softmax", order=order).choose()


@pytest.mark.parametrize("order", [2, 4, 6])
def test_every_share_is_positive_on_the_whole_line(order):
    line = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    shares = taylor_shares(torch.stack([line, torch.zeros_like(line)], 1), order=order)
    assert (shares > 0).all()


def test_the_level_of_the_scores_means_something(three_rows):
    logits, y = three_rows
    assert (taylor_softmax(logits + 1, y) - taylor_softmax(logits, y)).abs().min() > 0.01


def test_left_of_the_minimum_a_lower_score_is_more_probable():
    scores = torch.tensor([[-1.0, 0.0], [-4.0, 0.0]], dtype=torch.float64)
    assert_close(taylor_shares(scores)[:, 0], torch.tensor([1 / 3, 5 / 6], dtype=torch.float64))


def test_the_expected_loss_is_least_where_the_shares_are_the_truth():
    truth = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    scores = (8 * truth - 0.5).sqrt() * 2**0.5 - 1  # 1 + z + z**2 / 2 is then 8 times the truth
    assert_close(taylor_shares(scores[None])[0], truth)
    leaf = scores.expand(4, 4).clone().requires_grad_()
    (gradient,) = torch.autograd.grad((truth * taylor_softmax(leaf, torch.arange(4))).sum(), leaf)
    assert gradient.abs().sum() > 0.1
    assert_close(gradient.sum(0), torch.zeros(4, dtype=torch.float64))


def test_at_order_two_it_depends_on_the_sums_of_scores_and_squares_only():
    # beside a true score of one, both have a sum of 0.5 and squares of 6.25
    one = torch.tensor([[1.0, 2.0, -1.5, 0.0]], dtype=torch.float64)
    root = math.sqrt(6.25 - 0.5**2 / 3)
    direction = torch.tensor([1.0, 1.0, -2.0], dtype=torch.float64) / 6**0.5
    other = torch.cat([torch.ones(1, dtype=torch.float64), 0.5 / 3 + root * direction])[None]
    assert_close(other.sum(), one.sum())
    assert_close(other.square().sum(), one.square().sum())
    y = torch.tensor([0])
    assert_close(taylor_softmax(one, y), taylor_softmax(other, y))
    assert (taylor_softmax(one, y, order=4) - taylor_softmax(other, y, order=4)).abs() > 0.01


@pytest.mark.parametrize("order", [2, 4, 6])
def test_gradient_is_that_of_the_value(three_rows, order):
    logits, y = three_rows
    leaf = (2 * logits).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: taylor_softmax(z, y, order=order), leaf)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("order", [2, 4, 6])
def test_value_and_gradient_are_finite_for_large_scores(order, dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-1e4, 1e4, -1.0]], dtype=dtype, requires_grad=True)
    value = taylor_softmax(leaf, torch.tensor([0, 2]), order=order)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert value.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("order", [2, 4])
def test_learns_by_name_and_predicts_with_the_link_of_its_order(order):
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(Loss("taylor_softmax", order=order), max_epochs=15, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    with torch.no_grad():
        outputs = model.net_.module_(torch.as_tensor(X[:50])).numpy()
    t = polynomial(outputs, order)
    proba = model.predict_proba(X[:50])
    np.testing.assert_allclose(proba, t / t.sum(1, keepdims=True))
    np.testing.assert_allclose(model.decision_function(X[:50]), np.log(proba))
