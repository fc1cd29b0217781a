import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.multiclass.ntl_mse import ntl_mse

VALUES = torch.tensor([-1.0, 0.5, 4.0], dtype=torch.float64)


def probabilities(*p):
    """Return the scores of one row with these probabilities."""
    return torch.tensor([p], dtype=torch.float64).log()


def naive(logits, y, values, normalize):
    unit = max(values) - min(values) if normalize else 1.0
    results = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        mean = sum(math.exp(z) / total * v for z, v in zip(row, values, strict=True))
        results.append(((mean - values[label]) / unit) ** 2)
    return torch.tensor(results, dtype=logits.dtype)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("values", [[-1.0, 0.5, 4.0], [30.0, 10.0, 20.0]])
def test_equals_the_formula_in_plain_loops(three_rows, values, normalize):
    got = ntl_mse(*three_rows, class_values=torch.tensor(values, dtype=torch.float64), normalize=normalize)
    assert_close(got, naive(*three_rows, values, normalize))


def test_gives_the_worked_number():
    row = probabilities(0.1, 0.0, 0.2, 0.3, 0.4)
    assert ntl_mse(row, torch.tensor([2]), normalize=False).item() == pytest.approx(0.81)
    assert ntl_mse(row, torch.tensor([2])).item() == pytest.approx(0.81 / 16)


def test_probability_on_both_sides_of_the_true_class_costs_nothing():
    row = probabilities(0.0, 0.5, 0.0, 0.5, 0.0)
    assert ntl_mse(row, torch.tensor([2]), normalize=False).item() == pytest.approx(0, abs=1e-30)


def test_two_classes_give_the_squared_probability_of_the_other():
    logits = torch.tensor([[0.3, -1.0], [2.0, 2.5]], dtype=torch.float64)
    y = torch.tensor([0, 1])
    assert_close(ntl_mse(logits, y), (1 - torch.softmax(logits, 1)[torch.arange(2), y]) ** 2)


def test_the_names_of_the_classes_do_not_matter_only_their_numbers(three_rows):
    logits, y = three_rows
    order = torch.tensor([2, 0, 1])
    moved = ntl_mse(logits[:, order], torch.argsort(order)[y], class_values=VALUES[order])
    assert_close(moved, ntl_mse(logits, y, class_values=VALUES))


@pytest.mark.parametrize("change", [lambda v: 1000 * v, lambda v: v - 70, lambda v: -v])
def test_unit_origin_and_direction_of_the_numbers_mean_nothing_if_normalised(three_rows, change):
    assert_close(ntl_mse(*three_rows, class_values=change(VALUES)), ntl_mse(*three_rows, class_values=VALUES))


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: ntl_mse(z, y, class_values=VALUES), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_and_bounded_for_large_scores(dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], dtype=dtype, requires_grad=True)
    value = ntl_mse(leaf, torch.tensor([0, 2]), class_values=VALUES)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert (value <= 1).all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_as_a_term_beside_cross_entropy_it_learns_by_name_what_it_cannot_learn_alone(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=300, stratify=y, random_state=seed)

    def score(loss):
        return LossClassifier(loss, max_epochs=10, lr=1e-2, random_state=seed).fit(X, y).score(X_test, y_test)

    both = score(Loss("cross_entropy") + 3 * Loss("ntl_mse"))
    assert both > 0.9
    assert score("ntl_mse") < both - 0.2


def test_names_with_an_order_are_counted_and_without_one_refused():
    X, y = load_digits(return_X_y=True)
    X, y = X[:200], y[:200] % 3
    names = np.array(["poor", "fair", "best"])[y]
    ordered = LossClassifier("ntl_mse", class_order=["poor", "fair", "best"], max_epochs=5, random_state=0)
    plain = LossClassifier("ntl_mse", max_epochs=5, random_state=0)
    assert ordered.fit(X, names).loss_curve_ == pytest.approx(plain.fit(X, y).loss_curve_)
    with pytest.raises(TaskError, match="loss 'ntl_mse' needs classes with an order; give class_order="):
        plain.fit(X, names)
