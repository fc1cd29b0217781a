import math

import pytest
import torch
from sklearn.datasets import load_breast_cancer
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.binary.bce import bce

SCORES = torch.tensor([-3.0, -0.5, 0.0, 0.2, 4.0, -30.0, 30.0], dtype=torch.float64)
Y = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], dtype=torch.float64)


@pytest.mark.parametrize("weight", [0.3, 1.0, 5.0])
def test_equals_torch_in_value_and_gradient(weight):
    ours, theirs = SCORES.clone().requires_grad_(), SCORES.clone().requires_grad_()
    wanted = F.binary_cross_entropy_with_logits(
        theirs, Y, pos_weight=torch.tensor(weight, dtype=torch.float64), reduction="none"
    )
    values = bce(ours, Y, pos_weight=weight)
    assert_close(values, wanted)
    values.sum().backward()
    wanted.sum().backward()
    assert_close(ours.grad, theirs.grad)


def test_equals_the_formula_in_plain_loops():
    wanted = []
    for s, y in zip(SCORES[:5].tolist(), Y[:5].tolist(), strict=True):
        p = 1 / (1 + math.exp(-s))
        wanted.append(-2.0 * math.log(p) if y else -math.log(1 - p))
    assert_close(bce(SCORES[:5], Y[:5], pos_weight=2.0), torch.tensor(wanted, dtype=torch.float64))


def test_is_log_two_at_a_score_of_zero():
    assert_close(bce(torch.zeros(2), torch.tensor([0.0, 1.0])), torch.full((2,), math.log(2)))


def test_keeps_the_digits_of_an_easy_row():
    values = bce(torch.tensor([-20.0, 20.0]), torch.tensor([0.0, 1.0]))
    assert_close(values, torch.full((2,), math.exp(-20)), rtol=1e-5, atol=0)


@pytest.mark.parametrize("score", [-200.0, 200.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_is_finite_at_wild_scores(score, label):
    scores = torch.tensor([score], requires_grad=True)
    value = bce(scores, torch.tensor([label]))
    value.sum().backward()
    wrong = (score > 0) != (label == 1)
    assert_close(value.detach(), torch.tensor([200.0 if wrong else 0.0]))
    assert_close(scores.grad, torch.tensor([math.copysign(1.0, score) if wrong else 0.0]))


@pytest.mark.parametrize("weight", [0.5, 1.0, 4.0])
def test_is_least_at_the_log_odds_plus_the_log_of_the_weight(weight):
    share = 0.3
    best = torch.tensor([math.log(share / (1 - share)) + math.log(weight)], dtype=torch.float64, requires_grad=True)
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    (share * bce(best, one, pos_weight=weight) + (1 - share) * bce(best, zero, pos_weight=weight)).backward()
    assert_close(best.grad, zero)


def test_takes_the_weight_as_a_tensor():
    assert_close(bce(SCORES, Y, pos_weight=torch.tensor(3.0, dtype=torch.float64)), bce(SCORES, Y, pos_weight=3.0))


def test_has_the_gradient_of_its_value():
    assert torch.autograd.gradcheck(lambda s: bce(s, Y, pos_weight=2.0), SCORES.clone().requires_grad_())


def test_trains_by_name():
    X, y = load_breast_cancer(return_X_y=True)
    assert LossClassifier(loss="bce", max_epochs=20, random_state=0).fit(X, y).score(X, y) > 0.95


@pytest.mark.parametrize("pos_weight", [1.0, 3.0, torch.tensor(1.0, dtype=torch.float64)])
def test_a_soft_label_blends_the_values_of_both(pos_weight):
    scores = torch.tensor([-30.0, -0.3, 0.0, 2.0, 30.0, 100.0], dtype=torch.float64).repeat(5)
    y = torch.tensor([0.0, 0.2, 0.5, 0.7, 1.0], dtype=torch.float64).repeat_interleave(6)
    both = [bce(scores, torch.full_like(y, label), pos_weight=pos_weight) for label in (0.0, 1.0)]
    assert_close(bce(scores, y, pos_weight=pos_weight), (1 - y) * both[0] + y * both[1])


def test_easy_rows_keep_their_digits_in_single_precision():
    scores, y = torch.tensor([-30.0, 30.0]), torch.tensor([0.0, 1.0])
    leaf = scores.clone().requires_grad_()
    bce(leaf, y).sum().backward()
    assert_close(bce(scores, y), torch.full((2,), 9.3576e-14), rtol=1e-4, atol=0)
    assert_close(leaf.grad, torch.tensor([9.3576e-14, -9.3576e-14]), rtol=1e-4, atol=0)
