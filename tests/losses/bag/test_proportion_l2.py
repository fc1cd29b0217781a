import numpy as np
import pytest
import torch

from sklearnloss import LLPClassifier
from sklearnloss.losses.bag.proportion_l2 import proportion_l2


def naive(logits, y, bag, weight):
    """Return the value of each bag, written with loops."""
    values = []
    for b in range(len(y)):
        rows = [i for i in range(len(logits)) if bag[i] == b]
        total = sum(weight[i].item() for i in rows)
        mean = sum(weight[i].item() / total * np.exp(logits[i].numpy()) / np.exp(logits[i].numpy()).sum() for i in rows)
        values.append(sum((mean[c] - y[b, c].item()) ** 2 for c in range(y.shape[1])))
    return values


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(bags, seed, weighted):
    logits, y, bag, weight = bags(seed)
    weight = weight if weighted else torch.ones_like(weight)
    found = proportion_l2(logits, y, bag=bag, n_bags=3, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(found, naive(logits, y, bag, weight), rtol=1e-12)


def test_worked_numbers():
    # the rows mean (1/2, 1/2); against (0.9, 0.1) both classes are off by 0.4
    logits = torch.tensor([[0.0, 3.0], [3.0, 0.0]], dtype=torch.float64)
    found = proportion_l2(logits, torch.tensor([[0.9, 0.1]]).double(), bag=torch.tensor([0, 0]), n_bags=1)
    assert found.item() == pytest.approx(2 * 0.16)


def test_is_a_sum_over_classes_from_zero_to_two():
    y, bag = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([0, 0])
    for logits, wanted in (([0.0, 0.0, 900.0], 0.0), ([900.0, 0.0, 0.0], 2.0)):
        found = proportion_l2(torch.tensor([logits, logits]), y, bag=bag, n_bags=1)
        assert found.item() == wanted


def test_a_bag_of_one_row_has_the_brier_score(bags):
    logits, _, _, _ = bags(0)
    label = torch.arange(12) % 3
    y = torch.eye(3, dtype=torch.float64)[label]
    p = logits.softmax(1)
    true = p[torch.arange(12), label]
    wanted = 1 - 2 * true + p.square().sum(1)
    torch.testing.assert_close(proportion_l2(logits, y, bag=torch.arange(12), n_bags=12), wanted)


def test_is_least_at_the_expected_proportions():
    # a bag of two rows, each of class 1 with chance 0.3; every outcome with its chance
    outcomes = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], dtype=torch.float64)
    chance = torch.tensor([0.49, 0.42, 0.09], dtype=torch.float64)
    logits = torch.tensor([0.7, 0.3], dtype=torch.float64).log().expand(6, 2).clone().requires_grad_()
    values = proportion_l2(logits, outcomes, bag=torch.arange(6) // 2, n_bags=3)
    (gradient,) = torch.autograd.grad((chance * values).sum(), logits)
    torch.testing.assert_close(gradient.sum(0), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)


def test_gradient_in_double_precision(bags):
    logits, y, bag, weight = bags(0)

    def value(logits):
        return proportion_l2(logits, y, bag=bag, n_bags=3, sample_weight=weight)

    assert torch.autograd.gradcheck(value, logits.requires_grad_())


def test_learns_rows_by_name():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(300, 2)), np.arange(300) // 6
    y = (X[:, 0] > 0).astype(int)
    model = LLPClassifier("proportion_l2", max_epochs=40, lr=0.02, batch_size=60, random_state=0).fit(X, y, bags=bag)
    assert model.score(X, y) > 0.9
