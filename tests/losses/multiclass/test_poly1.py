import math

import pytest
import torch
from sklearn.datasets import load_iris
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.multiclass.poly1 import poly1


def naive(logits, y, epsilon):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(z) for z in row)
        values.append(-math.log(p) + epsilon * (1 - p))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 1.0, 5.0])
def test_equals_the_formula_in_plain_loops(three_rows, epsilon):
    assert_close(poly1(*three_rows, epsilon=epsilon), naive(*three_rows, epsilon))


def test_is_cross_entropy_at_epsilon_zero(three_rows):
    assert_close(poly1(*three_rows, epsilon=0.0), F.cross_entropy(*three_rows, reduction="none"))


@pytest.mark.parametrize("epsilon", [-1.0, 2.0])
def test_epsilon_is_added_to_the_first_weight_of_the_series(three_rows, epsilon):
    logits, y = three_rows
    miss = 1 - torch.softmax(logits, 1)[torch.arange(3), y]
    series = sum((1 / j + (epsilon if j == 1 else 0)) * miss**j for j in range(1, 200))
    assert_close(poly1(logits, y, epsilon=epsilon), series)


@pytest.mark.parametrize("epsilon", [-1.0, 1.0])
def test_the_gradient_of_cross_entropy_is_multiplied_by_one_plus_epsilon_times_the_probability(three_rows, epsilon):
    logits, y = three_rows
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(poly1(leaf, y, epsilon=epsilon).sum(), leaf)
    p = torch.softmax(logits, 1)
    factor = 1 + epsilon * p[torch.arange(3), y]
    assert_close(gradient, factor[:, None] * (p - F.one_hot(y, 3)))


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: poly1(z, y), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_sure_rows_right_or_wrong(dtype):
    leaf = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], dtype=dtype, requires_grad=True)
    value = poly1(leaf, torch.tensor([0, 0]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert_close(value.detach(), torch.tensor([0.0, 401.0], dtype=dtype))
    assert_close(gradient, torch.tensor([[0.0, 0.0], [-1.0, 1.0]], dtype=dtype))


def test_a_sure_row_keeps_its_digits():
    value = poly1(torch.tensor([[40.0, 0.0]], dtype=torch.float64), torch.tensor([0]), epsilon=3.0)
    assert_close(value, torch.tensor([4 * math.exp(-40)], dtype=torch.float64), rtol=1e-12, atol=0)


def test_an_epsilon_that_would_reward_errors_is_refused():
    with pytest.raises(ParameterError, match=r"loss 'poly1': epsilon must be a float in \[-1, inf\), got -1\.5"):
        Loss("poly1", epsilon=-1.5).choose()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_and_is_the_surer_the_larger_epsilon(seed):
    X, y = load_iris(return_X_y=True)

    def fitted(epsilon):
        return LossClassifier(Loss("poly1", epsilon=epsilon), max_epochs=40, lr=1e-2, random_state=seed).fit(X, y)

    low, high = fitted(-1.0), fitted(4.0)
    assert high.score(X, y) > 0.95
    assert low.predict_proba(X).max(1).mean() < high.predict_proba(X).max(1).mean()
