import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.dco import dco
from sklearnloss.metrics.pass_at_n import pass_at_n


def naive(logits, y, n_tries):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(z) for z in row)
        values.append(-math.log(1 - (1 - p) ** n_tries))
    return torch.tensor(values, dtype=logits.dtype)


def of_probability(p, n_tries, k=2):
    """Return value and gradient on the true score of a row whose true class has the probability p."""
    p = torch.tensor(p, dtype=torch.float64)
    leaf = torch.cat([p.log()[None], ((1 - p) / (k - 1)).log().expand(k - 1)])[None].requires_grad_()
    value = dco(leaf, torch.tensor([0]), n_tries=n_tries)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.item(), gradient[0, 0].item()


@pytest.mark.parametrize("n_tries", [1, 2, 16, 256])
def test_equals_the_formula_in_plain_loops(three_rows, n_tries):
    assert_close(dco(*three_rows, n_tries=n_tries), naive(*three_rows, n_tries))


def test_one_try_is_cross_entropy_in_value_and_gradient(three_rows):
    logits, y = three_rows
    results = []
    for function in (lambda z: dco(z, y, n_tries=1), lambda z: F.cross_entropy(z, y, reduction="none")):
        leaf = (5 * logits).requires_grad_()
        value = function(leaf)
        results.append((value.detach(), *torch.autograd.grad(value.sum(), leaf)))
    assert_close(results[0], results[1])


@pytest.mark.parametrize(
    ("p", "n_tries", "value", "factor"), [(0.5, 4, 0.0645385, 0.2666667), (0.1, 4, 1.0674044, 0.8479209)]
)
def test_gives_the_worked_numbers(p, n_tries, value, factor):
    got, gradient = of_probability(p, n_tries)
    assert got == pytest.approx(value, abs=1e-7)
    assert gradient == pytest.approx(-factor * (1 - p), abs=1e-7)


def test_the_gradient_is_that_of_cross_entropy_times_a_factor_falling_from_one_to_zero():
    factors = []
    for p in (1e-9, 0.01, 0.1, 0.3, 0.6, 0.9):
        factor = 16 * (1 - p) ** 15 * p / (1 - (1 - p) ** 16)
        assert of_probability(p, 16)[1] == pytest.approx(-factor * (1 - p))
        factors.append(factor)
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == pytest.approx(1)


@pytest.mark.parametrize("n_tries", [4, 64])
def test_is_cross_entropy_less_the_logarithm_of_the_tries_where_the_class_is_improbable(n_tries):
    assert of_probability(1e-9, n_tries)[0] == pytest.approx(math.log(1e9) - math.log(n_tries), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lead", [-60.0, -69.0, -200.0, -1000.0])
def test_keeps_its_digits_where_the_probability_rounds_to_nothing(lead, dtype):
    leaf = torch.tensor([[lead, 0.0]], dtype=dtype, requires_grad=True)
    value = dco(leaf, torch.tensor([0]), n_tries=16)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert_close(value.detach(), torch.tensor([-lead - math.log(16)], dtype=dtype))
    assert_close(gradient, torch.tensor([[-1.0, 1.0]], dtype=dtype))


def test_a_sure_row_has_next_to_no_gradient():
    gradient = of_probability(0.999, 64)[1]
    assert -1e-100 < gradient < 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lead", [20.0, 90.0, 1000.0])
def test_where_the_probability_rounds_to_one_the_gradient_is_exactly_zero(lead, dtype):
    leaf = torch.tensor([[lead, 0.0, 0.0]], dtype=dtype, requires_grad=True)
    value = dco(leaf, torch.tensor([0]), n_tries=64)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.item() == 0
    assert torch.equal(gradient, torch.zeros(1, 3, dtype=dtype))


def test_is_smooth_where_its_two_forms_meet():
    # a is log 2 where (1 - p) ** N is one half
    p = 1 - 0.5 ** (1 / 16)
    below, at, above = (of_probability(p * (1 + step), 16) for step in (-1e-9, 0.0, 1e-9))
    assert below[0] == pytest.approx(math.log(2), abs=1e-8)
    assert below == pytest.approx(above, abs=1e-8)
    assert at == pytest.approx(above, abs=1e-8)


def test_falls_as_the_tries_rise(three_rows):
    values = torch.stack([dco(*three_rows, n_tries=n) for n in (1, 2, 5, 20, 100)])
    assert (values.diff(dim=0) < 0).all()


@pytest.mark.parametrize("n_tries", [1, 3, 16])
def test_gradient_is_that_of_the_value(three_rows, n_tries):
    logits, y = three_rows
    for factor in (1.0, -3.0):
        leaf = (factor * logits).requires_grad_()
        assert torch.autograd.gradcheck(lambda z: dco(z, y, n_tries=n_tries), leaf)


@pytest.mark.parametrize("n_tries", [1, 4, 16])
def test_at_its_minimum_every_class_pulls_with_the_same_force(n_tries):
    shares = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    scores = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=200, tolerance_grad=1e-12, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        value = (shares * dco(scores.expand(3, 3), torch.arange(3), n_tries=n_tries)).sum()
        value.backward()
        return value

    optimizer.step(closure)
    p = torch.softmax(scores.detach(), 0)
    force = shares * n_tries * (1 - p) ** (n_tries - 1) / (1 - (1 - p) ** n_tries)
    assert_close(force, force.mean().expand(3), rtol=1e-6, atol=0)
    if n_tries == 1:
        assert_close(p, shares, rtol=1e-6, atol=0)
    else:
        assert p.max() < 0.6
        assert p.min() > 0.1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_on_noisy_labels_it_covers_more_in_several_guesses_than_cross_entropy_and_is_less_sure(seed):
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    noisy = np.where(rng.random(len(y)) < 0.3, rng.integers(10, size=len(y)), y)
    X, X_test, y, y_test = train_test_split(X, noisy, train_size=500, random_state=seed)
    proba = {
        name: LossClassifier(name, max_epochs=40, lr=5e-3, random_state=seed).fit(X, y).predict_proba(X_test)
        for name in ("dco", "cross_entropy")
    }
    assert pass_at_n(y_test, proba["dco"]) > pass_at_n(y_test, proba["cross_entropy"])
    assert proba["dco"].max(1).mean() < proba["cross_entropy"].max(1).mean()


def test_learns_by_name():
    X, y = load_iris(return_X_y=True)
    assert LossClassifier(Loss("dco", n_tries=4), max_epochs=60, lr=1e-2, random_state=0).fit(X, y).score(X, y) > 0.95
