import pytest
import torch
from sklearn.datasets import load_digits
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.multiclass_dsc import multiclass_dsc


def naive(logits, y, gamma, smooth, squared):
    values = []
    for row, label in zip(torch.softmax(logits, 1).tolist(), y.tolist(), strict=True):
        each = []
        for j, p in enumerate(row):
            m, t = (1 - p) ** gamma * p, float(j == label)
            each.append((2 * m * t + smooth) / ((m * m + t * t if squared else m + t) + smooth))
        values.append(1 - sum(each) / len(each))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("gamma", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("smooth", [0.5, 1.0])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("detach", [False, True])
def test_equals_the_formula_in_plain_loops(three_rows, gamma, smooth, squared, detach):
    got = multiclass_dsc(*three_rows, gamma=gamma, smooth=smooth, squared=squared, detach_weight=detach)
    assert_close(got, naive(*three_rows, gamma, smooth, squared))


@pytest.mark.parametrize("squared", [False, True])
def test_the_value_of_a_row_does_not_depend_on_the_others(three_rows, squared):
    logits, y = three_rows
    alone = torch.cat([multiclass_dsc(logits[[i]], y[[i]], squared=squared) for i in range(3)])
    assert_close(multiclass_dsc(logits, y, squared=squared), alone)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("squared", [False, True])
def test_a_detached_weight_never_pulls_the_true_score_down(gamma, squared):
    leaf = torch.stack([torch.linspace(-8, 8, 65), torch.zeros(65), torch.ones(65)], 1).double().requires_grad_()
    value = multiclass_dsc(leaf, torch.zeros(65, dtype=torch.int64), gamma=gamma, squared=squared)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert (gradient[:, 0] < 0).all()


def test_a_weight_that_is_not_detached_pulls_a_sure_true_score_down():
    leaf = torch.tensor([[4.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    value = multiclass_dsc(leaf, torch.tensor([0]), gamma=1.0, detach_weight=False)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert gradient[0, 0] > 0


@pytest.mark.parametrize("squared", [False, True])
def test_gradient_is_that_of_the_value_where_the_weight_is_not_detached(three_rows, squared):
    logits, y = three_rows

    def value(z):
        return multiclass_dsc(z, y, gamma=0.7, squared=squared, detach_weight=False)

    assert torch.autograd.gradcheck(value, logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("detach", [False, True])
def test_value_and_gradient_are_finite_for_sure_rows_right_or_wrong(detach, dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], dtype=dtype, requires_grad=True)
    value = multiclass_dsc(leaf, torch.tensor([0, 0]), gamma=0.01, detach_weight=detach)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_learns_by_name():
    X, y = load_digits(return_X_y=True)
    assert LossClassifier("multiclass_dsc", max_epochs=15, lr=5e-3, random_state=0).fit(X, y).score(X, y) > 0.95
