import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.multiclass.symmetric_ce import symmetric_ce


def naive(logits, y, alpha, beta, log_zero):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        p = [math.exp(z) / total for z in row]
        reverse = -sum(q * (0.0 if j == label else log_zero) for j, q in enumerate(p))
        values.append(-alpha * math.log(p[label]) + beta * reverse)
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 6.0])
@pytest.mark.parametrize("beta", [0.0, 1.0, 0.1])
@pytest.mark.parametrize("log_zero", [-4.0, math.log(1e-4)])
def test_equals_the_formula_in_plain_loops(three_rows, alpha, beta, log_zero):
    got = symmetric_ce(*three_rows, alpha=alpha, beta=beta, log_zero=log_zero)
    assert_close(got, naive(*three_rows, alpha, beta, log_zero))


def test_is_cross_entropy_without_the_reverse(three_rows):
    assert_close(symmetric_ce(*three_rows, alpha=1.0, beta=0.0), F.cross_entropy(*three_rows, reduction="none"))


def test_the_reverse_is_the_absolute_error_times_half_the_clipped_logarithm(three_rows):
    logits, y = three_rows
    apart = (torch.softmax(logits, 1) - F.one_hot(y, 3)).abs().sum(1)
    assert_close(symmetric_ce(logits, y, alpha=0.0, beta=1.0, log_zero=-5.0), 2.5 * apart)


def test_only_the_product_of_beta_and_the_clipped_logarithm_counts(three_rows):
    assert_close(symmetric_ce(*three_rows, beta=2.0, log_zero=-3.0), symmetric_ce(*three_rows, beta=1.0, log_zero=-6.0))


@pytest.mark.parametrize("value", [0.0, 1.0, -math.inf])
def test_a_logarithm_of_zero_that_is_not_negative_and_finite_is_refused(value):
    with pytest.raises(ParameterError, match=r"loss 'symmetric_ce': log_zero must be a float in \(-inf, 0\), got"):
        Loss("symmetric_ce", log_zero=value).choose()


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: symmetric_ce(z, y), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_sure_rows_right_or_wrong(dtype):
    leaf = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], dtype=dtype, requires_grad=True)
    value = symmetric_ce(leaf, torch.tensor([0, 0]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert_close(value.detach(), torch.tensor([0.0, 0.1 * 400 + 4], dtype=dtype))
    assert_close(gradient, torch.tensor([[0.0, 0.0], [-0.1, 0.1]], dtype=dtype))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_from_wrong_labels_better_than_cross_entropy(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=600, stratify=y, random_state=seed)
    rng = np.random.default_rng(seed)
    wrong = np.where(rng.random(len(y)) < 0.4, rng.integers(10, size=len(y)), y)

    def score(loss):
        return LossClassifier(loss, max_epochs=40, lr=5e-3, random_state=seed).fit(X, wrong).score(X_test, y_test)

    assert score("symmetric_ce") > score("cross_entropy") + 0.05
