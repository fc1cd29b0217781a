import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sklearnloss import LLPClassifier, Loss
from sklearnloss.losses.bag.proportion_ce import proportion_ce


def naive(logits, y, bag, weight):
    """Return the value of each bag, written with loops."""
    values = []
    for b in range(len(y)):
        rows = [i for i in range(len(logits)) if bag[i] == b]
        total = sum(weight[i].item() for i in rows)
        mean = sum(weight[i].item() / total * logits[i].softmax(0).numpy() for i in rows)
        values.append(-sum(y[b, c].item() * math.log(mean[c]) for c in range(y.shape[1])))
    return values


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(bags, seed, weighted):
    logits, y, bag, weight = bags(seed)
    weight = weight if weighted else torch.ones_like(weight)
    found = proportion_ce(logits, y, bag=bag, n_bags=3, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(found, naive(logits, y, bag, weight), rtol=1e-12)


def test_a_bag_of_one_row_has_the_cross_entropy_of_a_soft_label(bags):
    logits, _, _, _ = bags(0)
    y = torch.softmax(logits.flip(0), 1)
    found = proportion_ce(logits, y, bag=torch.arange(12), n_bags=12)
    torch.testing.assert_close(found, cross_entropy(logits, y, reduction="none"))


def test_is_least_at_the_proportions_with_their_entropy(bags):
    _, y, bag, _ = bags(0)
    logits = y.log()[bag].requires_grad_()
    values = proportion_ce(logits, y, bag=bag, n_bags=3)
    torch.testing.assert_close(values, -(y * y.log()).sum(1))
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)


def test_does_not_fall_below_the_entropy(bags):
    for seed in range(20):
        logits, y, bag, _ = bags(seed)
        assert (proportion_ce(logits, y, bag=bag, n_bags=3) >= -(y * y.log()).sum(1) - 1e-12).all()


def test_gradient_in_double_precision(bags):
    logits, y, bag, weight = bags(0)

    def value(logits):
        return proportion_ce(logits, y, bag=bag, n_bags=3, sample_weight=weight)

    assert torch.autograd.gradcheck(value, logits.requires_grad_())


def test_a_class_that_all_rows_deny_keeps_its_gradient():
    logits = torch.tensor([[800.0, 0.0], [900.0, 0.0]], dtype=torch.float32, requires_grad=True)
    values = proportion_ce(logits, torch.tensor([[0.5, 0.5]]), bag=torch.zeros(2, dtype=torch.int64), n_bags=1)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert values.item() == pytest.approx(0.5 * (800 + math.log(2)))
    assert gradient[0, 1].item() == pytest.approx(-0.5)  # the row that denies it least is drawn to it


def test_a_class_of_proportion_zero_is_no_nan():
    logits = torch.tensor([[900.0, -900.0]])
    assert proportion_ce(logits, torch.tensor([[1.0, 0.0]]), bag=torch.tensor([0]), n_bags=1).item() == 0


def test_a_row_of_weight_zero_is_not_there(bags):
    logits, y, bag, weight = bags(0)
    weight[bag == 2] = torch.tensor([0.0, 1, 2, 0, 1, 3, 1], dtype=torch.float64)
    kept = weight > 0
    found = proportion_ce(logits, y, bag=bag, n_bags=3, sample_weight=weight)
    alone = proportion_ce(logits[kept], y, bag=bag[kept], n_bags=3, sample_weight=weight[kept])
    torch.testing.assert_close(found, alone)


def test_learns_rows_by_name_and_in_a_sum():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(300, 2)), np.arange(300) // 6
    y = (X[:, 0] > 0).astype(int)
    for loss in ("proportion_ce", "dllp", Loss("proportion_ce") + 0.1 * Loss("proportion_ce")):
        model = LLPClassifier(loss, max_epochs=60, lr=0.02, batch_size=60, random_state=0).fit(X, y, bags=bag)
        assert model.score(X, y) > 0.9
