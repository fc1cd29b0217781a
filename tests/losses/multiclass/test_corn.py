import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.multiclass.corn import chained, corn

Y = torch.tensor([0, 1, 3, 2, 3, 0])
THRESHOLDS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def by_subsets(thresholds, y):
    """Return the paper's sum over conditional subsets, and how many rows these have in all."""
    total, members = 0.0, 0
    for j in range(thresholds.shape[1]):
        subset = [i for i in range(len(y)) if y[i] > j - 1]
        for i in subset:
            f = sigmoid(thresholds[i, j])
            total -= math.log(f) if y[i] > j else math.log(1 - f)
        members += len(subset)
    return total, members


def test_rows_sum_to_the_paper_s_loss_times_the_size_of_its_subsets():
    total, members = by_subsets(THRESHOLDS, Y)
    assert members == 1 + 2 + 3 + 3 + 3 + 1
    assert corn(THRESHOLDS, Y).sum().item() == pytest.approx(total)
    alone = [by_subsets(THRESHOLDS[[i]], Y[[i]])[0] for i in range(6)]
    assert_close(corn(THRESHOLDS, Y), torch.tensor(alone, dtype=torch.float64))


def test_agrees_with_the_number_of_the_authors_tests():
    thresholds = torch.tensor([[2.1, 1.8, -2.1, -1.8], [1.9, -1.0, -1.5, -1.3], [1.9, 1.8, 1.7, 1.6]])
    # their first version divides the sum by the number of classes
    assert corn(thresholds, torch.arange(3)).sum().item() / 5 == pytest.approx(0.9657, rel=1e-4)


def test_levels_above_the_class_of_a_row_do_not_count_for_it():
    leaf = THRESHOLDS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(corn(leaf, Y).sum(), leaf)
    outside = torch.tensor([[j > label for j in range(3)] for label in Y.tolist()])
    assert torch.equal(gradient == 0, outside)
    assert torch.equal(corn(torch.where(outside, 99.0, THRESHOLDS), Y), corn(THRESHOLDS, Y))


def test_two_classes_give_the_logistic_loss():
    scores, y = THRESHOLDS[:, :1], torch.tensor([0, 1, 1, 0, 0, 1])
    wanted = F.binary_cross_entropy_with_logits(scores[:, 0], y.double(), reduction="none")
    assert_close(corn(scores, y), wanted)
    assert_close(chained(scores)[:, 1], torch.sigmoid(scores[:, 0]))


def test_probabilities_follow_the_chain_rule():
    wanted = []
    for row in THRESHOLDS.tolist():
        above = 1.0
        for j in range(4):
            going_on = sigmoid(row[j]) if j < 3 else 0.0
            wanted.append(above * (1 - going_on))
            above *= going_on
    assert_close(chained(THRESHOLDS), torch.tensor(wanted, dtype=torch.float64).view(6, 4))


@pytest.mark.parametrize("size", [1.0, 30.0, 200.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_sum_to_one(size, dtype):
    proba = chained(size * torch.randn(50, 9, generator=torch.Generator().manual_seed(1)).to(dtype))
    assert (proba >= 0).all()
    assert_close(proba.sum(1), torch.ones(50, dtype=dtype))


def test_the_value_is_the_negative_logarithm_of_the_probability_of_the_class():
    assert_close(corn(THRESHOLDS, Y), -chained(THRESHOLDS)[torch.arange(6), Y].log())


def test_the_expected_loss_is_least_at_its_own_probabilities():
    leaf = THRESHOLDS[:1].expand(4, 3).clone().requires_grad_()
    expected = (chained(THRESHOLDS[0][None])[0] * corn(leaf, torch.arange(4))).sum()
    (gradient,) = torch.autograd.grad(expected, leaf)
    assert_close(gradient.sum(0), torch.zeros(3, dtype=torch.float64))
    assert gradient.abs().max() > 0.05


def test_the_reversed_order_of_classes_is_another_model():
    turned = corn(-THRESHOLDS.flip(1), 3 - Y)
    assert (turned - corn(THRESHOLDS, Y)).abs().max() > 0.1


def test_gradient_is_that_of_the_value():
    assert torch.autograd.gradcheck(lambda z: corn(z, Y), THRESHOLDS.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_large_scores(dtype):
    leaf = torch.tensor([[200.0] * 3, [-200.0] * 3, [-200.0] * 3], dtype=dtype, requires_grad=True)
    value = corn(leaf, torch.tensor([0, 3, 0]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert_close(value.detach(), torch.tensor([200.0, 600.0, 0.0], dtype=dtype))
    assert gradient.isfinite().all()


def test_a_linear_network_learns_a_logistic_regression_of_each_subset():
    X, t = load_diabetes(return_X_y=True)
    X = X[:, [2, 3, 8]] / 0.05
    y = np.digitize(t, [100, 200])
    how = {"hidden_layer_sizes": (), "standardize": False, "optimizer": torch.optim.LBFGS, "lr": 1.0, "batch_size": 442}
    model = LossClassifier("corn", **how, max_epochs=5, random_state=0).fit(X, y)
    head = model.net_.module_.head
    for j in range(2):
        peer = LogisticRegression(C=np.inf, tol=1e-8).fit(X[y > j - 1], y[y > j - 1] > j)
        np.testing.assert_allclose(head.weight[j].detach(), peer.coef_[0], atol=1e-3)
        np.testing.assert_allclose(head.bias[j].detach(), peer.intercept_[0], atol=1e-3)


def test_names_take_the_order_that_is_given_and_are_refused_without_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    codes = np.digitize(X[:, 0], [-0.6, 0.6])
    order = ["mild", "serious", "grave"]
    y = np.array(order)[codes]
    how = {"hidden_layer_sizes": (8,), "max_epochs": 30, "lr": 0.05, "random_state": 0}
    model = LossClassifier("corn", class_order=order, **how).fit(X, y)
    assert model.net_.module_.head.out_features == 2
    assert model.score(X, y) > 0.9
    proba = model.predict_proba(X)
    assert_close(proba.sum(1), np.ones(150))
    np.testing.assert_array_equal(model.predict(X), model.classes_[proba.argmax(1)])
    lowest = model.classes_.tolist().index("mild")
    assert proba[codes == 0, lowest].mean() > 0.8
    numbers = LossClassifier("corn", **how).fit(X, codes)
    np.testing.assert_array_equal(np.array(order)[numbers.predict(X)], model.predict(X))
    with pytest.raises(TaskError, match=r"^loss 'corn' needs classes with an order; give class_order=\[lowest, "):
        LossClassifier("corn").fit(X, y)


def test_a_sum_with_a_loss_of_one_score_is_refused():
    X, y = np.zeros((9, 2)), np.arange(9) % 4
    message = "^the terms of a sum share one head: loss 'corn' wants it 3 wide, loss 'coral' 1 wide; choose terms that"
    with pytest.raises(TaskError, match=message):
        LossClassifier(Loss("corn") + Loss("coral")).fit(X, y)
