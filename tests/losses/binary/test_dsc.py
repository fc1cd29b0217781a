import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import f1_score
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.binary.dsc import dsc

PROBABILITIES = [0.9, 0.2, 0.6]
SCORES = torch.logit(torch.tensor(PROBABILITIES, dtype=torch.float64))
Y = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)


def naive(p, y, gamma, smooth, squared):
    values = []
    for a, t in zip(p, y, strict=True):
        m = (1 - a) ** gamma * a
        size = m * m + t * t if squared else m + t
        values.append(1 - (2 * m * t + smooth) / (size + smooth))
    return torch.tensor(values, dtype=torch.float64)


def slope(p, y, **params):
    """Return the gradient of one row's loss with respect to its probability."""
    leaf = torch.logit(torch.tensor([p], dtype=torch.float64)).requires_grad_()
    (gradient,) = torch.autograd.grad(dsc(leaf, torch.tensor([float(y)]), **params).sum(), leaf)
    return gradient.item() / (p * (1 - p))


@pytest.mark.parametrize("gamma", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("smooth", [0.5, 1.0])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("detach", [False, True])
def test_equals_the_formula_in_plain_loops(gamma, smooth, squared, detach):
    got = dsc(SCORES, Y, gamma=gamma, smooth=smooth, squared=squared, detach_weight=detach)
    assert_close(got, naive(PROBABILITIES, Y.tolist(), gamma, smooth, squared))


@pytest.mark.parametrize(("gamma", "value"), [(0.0, 0.1183319), (1.0, 0.3042078)])
def test_gives_the_worked_numbers(gamma, value):
    assert dsc(SCORES, Y, gamma=gamma, squared=False).mean().item() == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("squared", [False, True])
def test_sure_and_right_rows_cost_nothing_without_focus(squared):
    assert_close(dsc(100 * (2 * Y - 1), Y, gamma=0.0, squared=squared), torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize(("p", "wanted"), [(0.3, -0.246), (0.5, 0.0), (0.7, 0.246), (0.9, 0.549)])
def test_a_weight_that_is_not_detached_draws_positives_back_to_one_half(p, wanted):
    got = slope(p, 1, gamma=1.0, squared=False, detach_weight=False)
    assert got == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("gamma", [0.01, 0.3, 1.0])
def test_a_weight_that_is_not_detached_is_least_at_one_over_one_plus_gamma(gamma):
    best = 1 / (1 + gamma)
    params = {"gamma": gamma, "squared": False, "detach_weight": False}
    assert slope(best - 1e-3, 1, **params) < 0 < slope(best + 1e-3, 1, **params)


@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("squared", [False, True])
def test_a_detached_weight_pulls_positives_up_and_negatives_down_at_any_probability(gamma, squared):
    for p in np.linspace(0.001, 0.999, 41):
        assert slope(p, 1, gamma=gamma, squared=squared) <= 0
        assert slope(p, 0, gamma=gamma, squared=squared) >= 0


def test_a_negative_of_probability_one_costs_nothing_under_focus():
    # the fault of the formula that a small gamma keeps far away
    sure = torch.tensor([40.0], dtype=torch.float64)
    assert dsc(sure, torch.zeros(1), gamma=1.0).item() == pytest.approx(0)
    assert dsc(sure, torch.zeros(1), gamma=0.0).item() == pytest.approx(0.5)


def test_without_squares_a_negative_of_probability_zero_pulls_more_than_a_positive():
    assert slope(1e-9, 0, gamma=0.0, squared=False) == pytest.approx(1, abs=1e-6)
    assert slope(1e-9, 1, gamma=0.0, squared=False) == pytest.approx(-0.75, abs=1e-6)
    assert slope(1e-9, 0, gamma=0.0, squared=True) == pytest.approx(0, abs=1e-6)
    assert slope(1e-9, 1, gamma=0.0, squared=True) == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("squared", [False, True])
def test_gradient_is_that_of_the_value_where_the_weight_is_not_detached(squared):
    def value(scores):
        return dsc(scores, Y, gamma=0.7, squared=squared, detach_weight=False)

    assert torch.autograd.gradcheck(value, SCORES.clone().requires_grad_())


def test_the_gradient_of_a_detached_weight_is_that_of_the_weight_as_a_number():
    leaf, same = SCORES.clone().requires_grad_(), SCORES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(dsc(leaf, Y, gamma=0.7).sum(), leaf)
    m = (1 - torch.tensor(PROBABILITIES, dtype=torch.float64)) ** 0.7 * torch.sigmoid(same)
    (wanted,) = torch.autograd.grad((1 - (2 * m * Y + 1) / (m**2 + Y + 1)).sum(), same)
    assert_close(gradient, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("detach", [False, True])
def test_value_and_gradient_are_finite_for_sure_rows_right_or_wrong(detach, dtype):
    leaf = torch.tensor([200.0, -200.0, 200.0, -200.0], dtype=dtype, requires_grad=True)
    y = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=dtype)
    value = dsc(leaf, y, gamma=0.01, detach_weight=detach)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert value.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("share", [0.05, 0.3, 0.45])
def test_of_rows_that_cannot_be_told_apart_the_positives_are_given_up_without_squares_only(share):
    p = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)

    def best(squared):
        each = [dsc(torch.logit(p), torch.full_like(p, t), gamma=0.0, squared=squared) for t in (0.0, 1.0)]
        return p[((1 - share) * each[0] + share * each[1]).argmin()].item()

    assert best(squared=False) == p[0]
    assert best(squared=True) > share / 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_a_rare_class(seed):
    X, y = load_digits(return_X_y=True)
    X = X + 4 * np.random.default_rng(seed).normal(size=X.shape)
    rows = np.concatenate([np.flatnonzero(y != 8)[:800], np.flatnonzero(y == 8)[:40]])
    X, y = X[rows], y[rows] == 8
    model = LossClassifier("dsc", max_epochs=15, lr=5e-3, random_state=seed)
    assert f1_score(y, model.fit(X, y).predict(X)) > 0.7


@pytest.mark.parametrize("name", ["dsc", "self_adjusting_dice"])
def test_serves_two_classes_and_several_labels_by_name(name):
    how = {"max_epochs": 10, "lr": 5e-3, "random_state": 0}
    X, y = load_breast_cancer(return_X_y=True)
    assert LossClassifier(name, **how).fit(X, y).score(X, y) > 0.95
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y % 2, y > 6], axis=1).astype(int)
    assert LossClassifier(name, **how).fit(X, labels).score(X, labels) > 0.9
