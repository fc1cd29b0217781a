import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import balanced_accuracy_score
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.logit_adjusted import logit_adjusted

PRIORS = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)


def naive(logits, y, priors, tau):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        masses = [prior**tau * math.exp(z) for prior, z in zip(priors, row, strict=True)]
        values.append(-math.log(masses[label] / sum(masses)))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 3.0])
def test_equals_the_formula_in_plain_loops(three_rows, tau):
    assert_close(logit_adjusted(*three_rows, priors=PRIORS, tau=tau), naive(*three_rows, PRIORS.tolist(), tau))


def test_is_cross_entropy_where_nothing_is_taken_out(three_rows):
    wanted = F.cross_entropy(*three_rows, reduction="none")
    assert_close(logit_adjusted(*three_rows, priors=PRIORS, tau=0.0), wanted)
    assert_close(logit_adjusted(*three_rows, priors=torch.full((3,), 1 / 3, dtype=torch.float64)), wanted)


def test_equal_scores_cost_the_logarithm_of_the_share():
    got = logit_adjusted(torch.zeros(3, 3, dtype=torch.float64), torch.arange(3), priors=PRIORS)
    assert_close(got, -PRIORS.log())


def test_is_least_at_the_probabilities_with_the_shares_divided_out():
    posterior = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    leaf = (posterior / PRIORS).log().expand(3, 3).clone().requires_grad_()
    expected = (posterior * logit_adjusted(leaf, torch.arange(3), priors=PRIORS)).sum()
    (gradient,) = torch.autograd.grad(expected, leaf)
    assert_close(gradient.sum(0), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_a_class_without_rows_is_safe_and_pushed_down(tau):
    leaf = torch.zeros(2, 3, requires_grad=True)
    value = logit_adjusted(leaf, torch.tensor([0, 1]), priors=torch.tensor([0.8, 0.2, 0.0]), tau=tau)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.isfinite().all()
    assert (gradient[:, 2] > 0.1).all()


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: logit_adjusted(z, y, priors=PRIORS), logits.clone().requires_grad_())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_and_balances_the_accuracy(seed):
    centers = [[0, 0], [1.5, 0], [0, 1.5]]
    X, y = make_blobs([500, 60, 15], centers=centers, random_state=seed)
    X_test, y_test = make_blobs([300] * 3, centers=centers, random_state=seed + 10)

    def score(loss):
        model = LossClassifier(loss, max_epochs=30, lr=1e-2, random_state=seed).fit(X, y)
        return balanced_accuracy_score(y_test, model.predict(X_test))

    balanced = score("logit_adjusted")
    assert balanced > score(Loss("logit_adjusted", tau=0.0))
    assert balanced > 0.6


def test_a_class_that_only_the_user_knows_of_is_never_predicted():
    X, y = make_blobs([60, 60], random_state=0)
    model = LossClassifier("logit_adjusted", max_epochs=40, lr=1e-2, random_state=0).fit(X, y, classes=[0, 1, 2])
    assert set(np.unique(model.predict(X))) == {0, 1}
