import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sklearnloss import LLPClassifier, Loss
from sklearnloss.losses.bag.bag_interp import bag_interp
from sklearnloss.losses.bag.proportion_ce import proportion_ce


def naive(logits, y, bag, weight, rho):
    """Return the value of each bag, written with loops."""
    values = []
    for b in range(len(y)):
        rows = [i for i in range(len(logits)) if bag[i] == b]
        total = sum(weight[i].item() for i in rows)
        p = {i: np.exp(logits[i].numpy()) / np.exp(logits[i].numpy()).sum() for i in rows}
        mean = sum(weight[i].item() / total * p[i] for i in rows)
        of_bag = -sum(y[b, c].item() * math.log(mean[c]) for c in range(y.shape[1]))
        of_rows = -sum(
            weight[i].item() / total * y[b, c].item() * math.log(p[i][c]) for i in rows for c in range(y.shape[1])
        )
        values.append((1 - rho) * of_bag + rho * of_rows)
    return values


@pytest.mark.parametrize("rho", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_formula_written_with_loops(bags, weighted, rho):
    logits, y, bag, weight = bags(0)
    weight = weight if weighted else torch.ones_like(weight)
    found = bag_interp(logits, y, bag=bag, n_bags=3, sample_weight=weight if weighted else None, rho=rho)
    np.testing.assert_allclose(found, naive(logits, y, bag, weight, rho), rtol=1e-12)


def test_worked_numbers():
    # p = (1/4, 3/4) and (3/4, 1/4): the bag predicts (1/2, 1/2), each row has (log 4 + log 4/3) / 2
    logits = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0]], dtype=torch.float64)
    y, bag = torch.tensor([[0.5, 0.5]], dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
    row = (math.log(4) + math.log(4 / 3)) / 2
    for rho in (0.0, 0.25, 1.0):
        found = bag_interp(logits, y, bag=bag, n_bags=1, rho=rho).item()
        assert found == pytest.approx((1 - rho) * math.log(2) + rho * row)


def test_rho_zero_is_proportion_ce(bags):
    for seed in range(3):
        logits, y, bag, weight = bags(seed)
        found = bag_interp(logits, y, bag=bag, n_bags=3, sample_weight=weight, rho=0.0)
        torch.testing.assert_close(found, proportion_ce(logits, y, bag=bag, n_bags=3, sample_weight=weight))


def test_rho_one_is_the_mean_over_rows_of_cross_entropy_with_a_soft_label(bags):
    logits, y, bag, _ = bags(0)
    rows = cross_entropy(logits, y[bag], reduction="none")
    found = bag_interp(logits, y, bag=bag, n_bags=3, rho=1.0)
    torch.testing.assert_close(found, torch.stack([rows[bag == b].mean() for b in range(3)]))


def test_rises_with_rho(bags):
    for seed in range(20):
        logits, y, bag, weight = bags(seed)
        values = [bag_interp(logits, y, bag=bag, n_bags=3, sample_weight=weight, rho=r) for r in (0.0, 0.3, 0.6, 1.0)]
        for low, high in pairwise(values):
            assert (high >= low - 1e-12).all()  # Jensen


def test_bags_of_one_row_have_cross_entropy_whatever_rho(bags):
    logits, _, _, _ = bags(0)
    y = torch.softmax(logits.flip(0), 1)
    wanted = cross_entropy(logits, y, reduction="none")
    for rho in (0.0, 0.25, 1.0):
        torch.testing.assert_close(bag_interp(logits, y, bag=torch.arange(12), n_bags=12, rho=rho), wanted)


def test_rows_that_all_predict_the_proportions_are_left_alone(bags):
    _, y, bag, _ = bags(0)
    logits = y.log()[bag].requires_grad_()
    values = bag_interp(logits, y, bag=bag, n_bags=3)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)


def test_rho_draws_rows_of_a_bag_together():
    logits = torch.tensor([[0.0, 2.0], [0.0, -2.0]], dtype=torch.float64, requires_grad=True)
    y, bag = torch.tensor([[0.5, 0.5]], dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
    (none,) = torch.autograd.grad(bag_interp(logits, y, bag=bag, n_bags=1, rho=0.0).sum(), logits)
    (some,) = torch.autograd.grad(bag_interp(logits, y, bag=bag, n_bags=1, rho=0.25).sum(), logits)
    torch.testing.assert_close(none, torch.zeros_like(none))  # the bag is right already
    assert some[0, 1] > 0 > some[1, 1]


def test_gradient_in_double_precision(bags):
    logits, y, bag, weight = bags(0)

    def value(logits):
        return bag_interp(logits, y, bag=bag, n_bags=3, sample_weight=weight, rho=0.4)

    assert torch.autograd.gradcheck(value, logits.requires_grad_())


def test_a_class_of_proportion_zero_is_no_nan():
    logits = torch.tensor([[900.0, -900.0], [0.0, -200.0]], requires_grad=True)
    values = bag_interp(logits, torch.tensor([[1.0, 0.0]]), bag=torch.tensor([0, 0]), n_bags=1, rho=1.0)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert values.item() == 0
    assert gradient.isfinite().all()


def test_learns_rows_by_name():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(300, 2)), np.arange(300) // 6
    y = (X[:, 0] > 0).astype(int)
    for loss in ("bag_interp", Loss("bag_interp_ce", rho=0.05)):
        model = LLPClassifier(loss, max_epochs=40, lr=0.02, batch_size=60, random_state=0).fit(X, y, bags=bag)
        assert model.score(X, y) > 0.9
