import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.encouraging import encouraging


def at(p, k=2):
    """One row whose true class, the first of k, has probability p."""
    return torch.tensor([[math.log(p), *[math.log((1 - p) / (k - 1))] * (k - 1)]], dtype=torch.float64)


def naive(logits, y, log_end):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(z) for z in row)
        line = p > log_end
        bonus = math.log(1 - log_end) - (p - log_end) / (1 - log_end) if line else math.log(1 - p)
        values.append(-math.log(p) + bonus)
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("log_end", [0.0, 0.3, 0.5, 0.75, 0.9, 1.0])
def test_equals_the_formula_in_plain_loops(three_rows, log_end):
    assert_close(encouraging(*three_rows, log_end=log_end), naive(*three_rows, log_end))


@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize("log_end", [0.5, 0.75, 1.0])
def test_is_zero_at_probability_one_half(k, log_end):
    assert encouraging(at(0.5, k), torch.tensor([0]), log_end=log_end).item() == pytest.approx(0, abs=1e-12)


def test_gives_the_worked_number():
    assert encouraging(at(0.9), torch.tensor([0])).item() == pytest.approx(-1.880934, abs=1e-6)


def test_has_a_lower_bound():
    sure = torch.tensor([[200.0, -200.0]], dtype=torch.float64)
    assert encouraging(sure, torch.tensor([0])).item() == pytest.approx(-2.386294, abs=1e-6)


def test_is_cross_entropy_less_the_probability_where_the_line_starts_at_once(three_rows):
    logits, y = three_rows
    p = torch.softmax(logits, 1)[torch.arange(3), y]
    assert_close(encouraging(logits, y, log_end=0.0), -p.log() - p)


def test_is_the_negative_log_odds_without_end():
    far = torch.tensor([[200.0, -200.0], [-200.0, 200.0]])
    assert encouraging(far, torch.tensor([0, 0]), log_end=1.0).tolist() == [-400, 400]


def test_passes_from_the_bonus_to_its_tangent_without_a_kink():
    rows = torch.cat([at(0.75 - 1e-7), at(0.75 + 1e-7)]).requires_grad_()
    below, above = encouraging(rows, torch.tensor([0, 0]))
    (gradient,) = torch.autograd.grad(below + above, rows)
    assert_close(below, above, atol=1e-5, rtol=0)
    assert_close(gradient[0], gradient[1], atol=1e-5, rtol=0)


def test_every_row_before_the_end_pulls_its_true_score_equally():
    rows = torch.cat([at(p, 4) for p in (0.01, 0.3, 0.74)]) + torch.tensor([0.0, 0.2, 0.0, -0.2], dtype=torch.float64)
    p = torch.softmax(rows, 1)
    leaf = rows.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(encouraging(leaf, torch.zeros(3, dtype=torch.int64), log_end=0.8).sum(), leaf)
    assert_close(gradient[:, 0], torch.full((3,), -1.0, dtype=torch.float64))
    assert_close(gradient[:, 1:], p[:, 1:] / (1 - p[:, :1]))


@pytest.mark.parametrize("log_end", [0.0, 0.75, 1.0])
def test_gradient_is_that_of_the_value(three_rows, log_end):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: encouraging(z, y, log_end=log_end), logits.clone().requires_grad_())


@pytest.mark.parametrize("log_end", [0.0, 0.5, 1.0])
def test_value_and_gradient_are_finite_for_sure_rows_right_or_wrong(log_end):
    leaf = torch.tensor([[200.0, -200.0], [-200.0, 200.0], [1e3, -1e3]], requires_grad=True)
    value = encouraging(leaf, torch.tensor([0, 0, 0]), log_end=log_end)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_with_wider_margins_than_cross_entropy(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)

    def margin(loss):
        model = LossClassifier(loss, max_epochs=15, lr=5e-3, random_state=seed).fit(X, y)
        assert model.score(X_test, y_test) > 0.9
        scores = model.decision_function(X_test)
        rows = np.arange(len(y_test))
        true = scores[rows, y_test].copy()
        scores[rows, y_test] = -np.inf
        return (true - scores.max(1)).mean()

    assert margin("encouraging") > margin("cross_entropy")
