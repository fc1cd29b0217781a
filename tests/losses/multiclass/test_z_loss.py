import math

import pytest
import torch
from sklearn.datasets import load_iris
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.multiclass.z_loss import z_loss


def naive(logits, y, a, b):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        mean = sum(row) / len(row)
        deviation = math.sqrt(sum((z - mean) ** 2 for z in row) / len(row))
        values.append(math.log(1 + math.exp(a * (b - (row[label] - mean) / deviation))) / a)
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("a", [0.05, 1.0, 5.0])
@pytest.mark.parametrize("b", [0.5, 1.0, 4.0])
def test_equals_the_formula_in_plain_loops(three_rows, a, b):
    assert_close(z_loss(*three_rows, a=a, b=b), naive(*three_rows, a, b))


def test_gives_the_worked_numbers(three_rows):
    wanted = torch.tensor([0.539066, 0.587075, 0.524015], dtype=torch.float64)
    assert_close(z_loss(*three_rows, a=1.0, b=1.0), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("k", [3, 10, 1000])
def test_the_score_to_reach_grows_with_the_number_of_classes(k):
    logits = torch.randn(4, k, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.arange(4) % k
    assert_close(z_loss(logits, y), z_loss(logits, y, b=0.9 * min((k - 1) ** 0.5, 1 + math.log(k))))


def test_shift_and_scale_of_a_row_mean_nothing(three_rows):
    logits, y = three_rows
    assert_close(z_loss(3 * logits + 7, y, b=1.0), z_loss(logits, y, b=1.0), atol=1e-10, rtol=0)


def test_the_gradient_is_orthogonal_to_shift_and_scale(three_rows):
    logits, y = three_rows
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(z_loss(leaf, y, b=1.0).sum(), leaf)
    nothing = torch.zeros(3, dtype=torch.float64)
    assert gradient.abs().sum() > 0.1
    assert_close(gradient.sum(1), nothing, atol=1e-10, rtol=0)
    assert_close((gradient * logits).sum(1), nothing, atol=1e-10, rtol=0)


def test_tends_to_the_hinge_as_it_sharpens(three_rows):
    scores = torch.tensor([1.336306, 1.224745, 1.372813], dtype=torch.float64)
    assert_close(z_loss(*three_rows, a=1e5, b=1.3), torch.relu(1.3 - scores), atol=1e-5, rtol=0)


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: z_loss(z, y), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", [0.0, 0.1, 200.0])
def test_equal_scores_have_a_finite_gradient_towards_the_true_class(level, dtype):
    leaf = torch.full((1, 4), level, dtype=dtype, requires_grad=True)
    value = z_loss(leaf, torch.tensor([2]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient[0, 2] < 0


def test_two_classes_are_refused():
    with pytest.raises(TaskError, match=r"loss 'z_loss' needs three classes or more, got 2: .*; choose another loss"):
        z_loss(torch.zeros(1, 2), torch.tensor([0]))


def test_learns_by_name_and_gives_probabilities_only_when_calibrated():
    X, y = load_iris(return_X_y=True)
    model = LossClassifier("z_loss", max_epochs=60, lr=1e-2, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert not hasattr(model, "predict_proba")
    model.set_params(calibrate="temperature").fit(X, y)
    assert model.predict_proba(X).sum(1) == pytest.approx(1)
