import pytest
import torch
from sklearn.datasets import load_iris
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.gce import gce
from sklearnloss.losses.multiclass.mae_proba import mae_proba


def test_is_the_absolute_distance_between_probabilities_and_label(three_rows):
    logits, y = three_rows
    wanted = (torch.softmax(logits, 1) - F.one_hot(y, 3)).abs().sum(1)
    assert_close(mae_proba(logits, y), wanted)


def test_gives_twice_the_worked_mean(three_rows):
    # one less the probability of the true class is 0.237828 on average
    assert mae_proba(*three_rows).mean().item() == pytest.approx(2 * 0.237828, abs=2e-6)


def test_is_twice_generalised_cross_entropy_at_q_one(three_rows):
    assert_close(mae_proba(*three_rows), 2 * gce(*three_rows, q=1.0))


def test_the_gradient_is_not_zero(three_rows):
    # the plain sum of the label less the probabilities is zero for any scores, and so is its gradient
    logits, y = three_rows
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(mae_proba(leaf, y).sum(), leaf)
    p = torch.softmax(logits, 1)
    true = p.gather(1, y[:, None])
    assert (gradient.abs().sum(1) > 0.1).all()
    assert_close(gradient, -2 * true * (F.one_hot(y, 3) - p))


def test_the_sum_over_all_labels_does_not_depend_on_the_scores(three_rows):
    logits, _ = three_rows
    total = sum(mae_proba(logits, torch.full((3,), j)) for j in range(3))
    assert_close(total, torch.full((3,), 4.0, dtype=torch.float64))


def test_keeps_its_digits_at_a_row_that_is_sure():
    value = mae_proba(torch.tensor([[100.0, 0.0, -300.0]], dtype=torch.float64), torch.tensor([0]))
    assert_close(value, 2 * torch.exp(torch.tensor([-100.0], dtype=torch.float64)), rtol=1e-12, atol=0)


def test_learns_by_name():
    X, y = load_iris(return_X_y=True)
    assert LossClassifier("mae_proba", max_epochs=60, lr=1e-2, random_state=0).fit(X, y).score(X, y) > 0.95
