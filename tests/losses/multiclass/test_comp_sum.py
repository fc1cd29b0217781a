import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.comp_sum import comp_sum

TAUS = [0.0, 0.5, 1.0, 1.7, 2.0, 3.0]


def naive(logits, y, tau):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        u = sum(math.exp(z - row[label]) for j, z in enumerate(row) if j != label)
        values.append(math.log(1 + u) if tau == 1 else ((1 + u) ** (1 - tau) - 1) / (1 - tau))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("tau", TAUS)
def test_equals_the_formula_in_plain_loops(three_rows, tau):
    assert_close(comp_sum(*three_rows, tau=tau), naive(*three_rows, tau))


@pytest.mark.parametrize(
    ("tau", "mean"), [(0, 0.409212), (0.5, 0.351507), (1, 0.305333), (1.7, 0.255248), (2, 0.237828)]
)
def test_gives_the_worked_means(three_rows, tau, mean):
    assert comp_sum(*three_rows, tau=tau).mean().item() == pytest.approx(mean, abs=1e-6)


def test_gives_the_worked_rows(three_rows):
    wanted = torch.tensor([0.160138, 0.541220, 0.064388], dtype=torch.float64)
    assert_close(comp_sum(*three_rows, tau=1.7), wanted, atol=1e-6, rtol=0)


def test_is_the_sum_of_exponentials_at_tau_zero(three_rows):
    logits, y = three_rows
    p = torch.softmax(logits, 1)[torch.arange(3), y]
    assert_close(comp_sum(logits, y, tau=0.0), 1 / p - 1)


def test_is_cross_entropy_at_tau_one(three_rows):
    assert_close(comp_sum(*three_rows, tau=1.0), F.cross_entropy(*three_rows, reduction="none"))


def test_is_one_less_the_probability_at_tau_two(three_rows):
    logits, y = three_rows
    assert_close(comp_sum(logits, y, tau=2.0), 1 - torch.softmax(logits, 1)[torch.arange(3), y])


@pytest.mark.parametrize("step", [1e-3, -1e-3, 1e-9, -1e-9, 1e-15])
def test_passes_through_tau_one_without_a_jump(three_rows, step):
    entropy = F.cross_entropy(*three_rows, reduction="none")
    assert_close(comp_sum(*three_rows, tau=1.0 + step), entropy, atol=abs(step), rtol=1e-9)


def test_falls_as_tau_rises(three_rows):
    values = torch.stack([comp_sum(*three_rows, tau=tau) for tau in TAUS])
    assert (values.diff(dim=0) < 0).all()


@pytest.mark.parametrize("tau", TAUS)
def test_gradient_on_the_true_score_is_the_known_one(three_rows, tau):
    logits, y = three_rows
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(comp_sum(leaf, y, tau=tau).sum(), leaf)
    p = torch.softmax(logits, 1)[torch.arange(3), y]
    assert_close(gradient[torch.arange(3), y], -(p ** (tau - 1)) * (1 - p))
    assert torch.autograd.gradcheck(lambda z: comp_sum(z, y, tau=tau), leaf)


@pytest.mark.parametrize("tau", TAUS)
def test_value_and_gradient_are_finite_for_sure_rows_right_or_wrong(tau):
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    value = comp_sum(logits, torch.tensor([0, 0]), tau=tau)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_the_wrongest_row_is_not_forgotten_where_the_power_would_overflow():
    logits = torch.tensor([[-200.0, 200.0], [-100.0, 100.0]], requires_grad=True)
    value = comp_sum(logits, torch.tensor([0, 0]), tau=0.0)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value[0] > value[1]
    assert (gradient[:, 0] < -1e12).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_larger_tau_forgives_wrong_labels(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    rng = np.random.default_rng(seed)
    wrong = np.where(rng.random(len(y)) < 0.4, rng.integers(10, size=len(y)), y)
    score = {
        tau: LossClassifier(Loss("comp_sum", tau=tau), max_epochs=30, lr=5e-3, random_state=seed)
        .fit(X, wrong)
        .score(X_test, y_test)
        for tau in (1.0, 1.7)
    }
    assert score[1.7] > score[1.0]
