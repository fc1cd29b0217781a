import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.reject_fixed import reject_fixed

RIGHT, WRONG = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)


def rate(cost=0.05, alpha=2.0):
    return alpha / (2 * cost) * (cost * math.exp(alpha / 2) + (1 - cost) * math.exp(-alpha / 2))


def in_loops(scores, y, cost=0.05, alpha=2.0):
    beta = rate(cost, alpha)
    values = [
        math.exp(alpha / 2 * (s - (1 if right else -1))) + cost * math.exp(-beta * s)
        for s, right in zip(scores.tolist(), y.tolist(), strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64)


def slope(score, y, **params):
    score = torch.full((1,), float(score), dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(reject_fixed(score, y, **params).sum(), score)[0].item()


def best(wrong, **params):
    """Return the constant score that is best where answers are wrong with this probability, by bisection."""
    low, high = -5.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        rising = wrong * slope(middle, WRONG, **params) + (1 - wrong) * slope(middle, RIGHT, **params) > 0
        low, high = (low, middle) if rising else (middle, high)
    return middle


@pytest.mark.parametrize("cost", [0.01, 0.05, 0.4])
@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_equals_the_formula_in_plain_loops(cost, alpha):
    scores, y = torch.linspace(-0.5, 0.5, 9, dtype=torch.float64), (torch.arange(9) % 2).double()
    assert_close(reject_fixed(scores, y, cost=cost, alpha=alpha), in_loops(scores, y, cost, alpha))


def test_gives_the_worked_constants():
    assert 0.05 * rate() == pytest.approx(0.48540, abs=1e-5)
    assert rate() == pytest.approx(9.70799, abs=1e-5)
    assert slope(0, WRONG) == pytest.approx(math.e - 0.48540, abs=1e-5)  # alpha/2 exp(alpha/2) - cost * beta


@pytest.mark.parametrize(("wrong", "score"), [(0.03, 0.0095), (0.05, 0.0), (0.08, -0.0127)])
def test_gives_the_worked_scores(wrong, score):
    assert best(wrong) == pytest.approx(score, abs=5e-5)


@pytest.mark.parametrize("cost", [0.01, 0.05, 0.2, 0.45])
@pytest.mark.parametrize("alpha", [0.5, 2.0, 4.0])
def test_the_best_score_is_positive_where_answers_are_wrong_less_often_than_the_cost(cost, alpha):
    params = {"cost": cost, "alpha": alpha}
    assert best(cost, **params) == pytest.approx(0, abs=1e-9)
    assert best(0.9 * cost, **params) > 0 > best(min(1.1 * cost, 1), **params)


@pytest.mark.parametrize("wrong", [0.0, 0.02, 0.3, 1.0])
def test_the_best_score_tells_how_often_answers_are_wrong(wrong):
    cost, alpha = 0.1, 1.5
    e = math.exp(alpha / 2)
    factor = math.exp(-(alpha / 2 + rate(cost, alpha)) * best(wrong, cost=cost, alpha=alpha))
    assert ((cost * e + (1 - cost) / e) * factor - 1 / e) / (e - 1 / e) == pytest.approx(wrong, abs=1e-9)


def test_scores_at_the_defaults_lie_where_the_notes_say():
    assert best(1.0) == pytest.approx(-0.161, abs=1e-3)
    assert best(0.0) == pytest.approx(0.026, abs=1e-3)


def test_a_cost_of_one_half_accepts_more():
    assert best(0.3, cost=0.05) < 0 < best(0.3, cost=0.499)


def test_is_never_below_the_cost_of_the_decision():
    scores = torch.linspace(-2, 2, 81, dtype=torch.float64)
    for cost in (0.05, 0.3):
        accepted = (scores > 0).double()
        assert (reject_fixed(scores, WRONG.expand(81), cost=cost) >= accepted + cost * (1 - accepted)).all()
        assert (reject_fixed(scores, RIGHT.expand(81), cost=cost) >= cost * (1 - accepted)).all()


@pytest.mark.parametrize("y", [RIGHT, WRONG])
def test_is_convex_even_where_it_goes_on_along_its_tangents(y):
    slopes = [slope(s, y) for s in np.linspace(-40, 40, 161)]
    assert all(a <= b for a, b in pairwise(slopes))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(dtype):
    scores = torch.tensor([-200.0, -200.0, 0.0, 0.0, 200.0, 200.0], dtype=dtype, requires_grad=True)
    y = torch.tensor([0.0, 1.0] * 3, dtype=dtype)
    values = reject_fixed(scores, y)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert (values > 0).all()
    assert scores.grad.isfinite().all()
    assert (scores.grad[:2] < 0).all()  # still drawn back
    assert (scores.grad[4:] > 0).all()


def test_has_the_gradient_of_its_value():
    scores, y = torch.linspace(-3, 25, 8, dtype=torch.float64), (torch.arange(8) % 2).double()
    scores = torch.cat([scores[:4], scores[:4] / 10])
    assert torch.autograd.gradcheck(lambda s: reject_fixed(s, y, cost=0.2), scores.requires_grad_())


def test_takes_hyperparameters_as_tensors():
    scores, y = torch.linspace(-1, 1, 6, dtype=torch.float64), (torch.arange(6) % 2).double()
    cost, alpha = torch.tensor(0.1, dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64)
    assert_close(reject_fixed(scores, y, cost=cost, alpha=alpha), reject_fixed(scores, y, cost=0.1, alpha=3.0))


def test_accepts_by_name_where_answers_are_wrong_less_often_than_the_cost():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(2000, 2))
    wrong = np.where(X[:, 0] > 0, 0.4, 0.02)
    right = (rng.random(2000) > wrong).astype(int)
    model = LossClassifier(loss=Loss("reject_fixed", cost=0.1), max_epochs=40, lr=5e-3, random_state=0).fit(X, right)
    accepted = model.predict(X)
    assert (accepted == (X[:, 0] <= 0)).mean() > 0.9
    assert not hasattr(model, "predict_proba")
    # most answers are right everywhere: what asks which of the two is likelier accepts them all
    assert LossClassifier(max_epochs=20, random_state=0).fit(X, right).predict(X).mean() > 0.98
