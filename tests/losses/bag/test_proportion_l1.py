import numpy as np
import pytest
import torch

from sklearnloss import LLPClassifier
from sklearnloss.losses.bag.proportion_l1 import proportion_l1


def naive(logits, y, bag, weight):
    """Return the value of each bag, written with loops."""
    values = []
    for b in range(len(y)):
        rows = [i for i in range(len(logits)) if bag[i] == b]
        total = sum(weight[i].item() for i in rows)
        mean = sum(weight[i].item() / total * np.exp(logits[i].numpy()) / np.exp(logits[i].numpy()).sum() for i in rows)
        values.append(sum(abs(mean[c] - y[b, c].item()) for c in range(y.shape[1])))
    return values


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(bags, seed, weighted):
    logits, y, bag, weight = bags(seed)
    weight = weight if weighted else torch.ones_like(weight)
    found = proportion_l1(logits, y, bag=bag, n_bags=3, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(found, naive(logits, y, bag, weight), rtol=1e-12)


def test_worked_numbers():
    # the rows mean (1/2, 1/2); against (0.9, 0.1) both classes are off by 0.4
    logits = torch.tensor([[0.0, 3.0], [3.0, 0.0]], dtype=torch.float64)
    found = proportion_l1(logits, torch.tensor([[0.9, 0.1]]).double(), bag=torch.tensor([0, 0]), n_bags=1)
    assert found.item() == pytest.approx(0.8)


def test_is_a_sum_over_classes_from_zero_to_two():
    y, bag = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([0, 0])
    for logits, wanted in (([0.0, 0.0, 900.0], 0.0), ([900.0, 0.0, 0.0], 2.0)):
        found = proportion_l1(torch.tensor([logits, logits]), y, bag=bag, n_bags=1)
        assert found.item() == wanted


def test_one_minus_half_of_it_is_the_score_on_bags():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(40, 2)), np.sort(rng.integers(6, size=40))
    y = (X[:, 0] > 0).astype(int)
    model = LLPClassifier(max_epochs=2, random_state=0).fit(X, y, bags=bag)
    known = torch.tensor([[np.mean(y[bag == b] == c) for c in (0, 1)] for b in range(6)])
    logits = torch.from_numpy(model.predict_log_proba(X))
    off = proportion_l1(logits, known, bag=torch.from_numpy(bag), n_bags=6)
    assert model.score(X, y, bags=bag) == pytest.approx(1 - np.average(off / 2, weights=np.bincount(bag)))


def test_a_bag_far_off_pulls_no_more_than_one_that_is_near():
    logits = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
    y, bag = torch.tensor([[0.45, 0.55], [0.0, 1.0]]).double(), torch.tensor([0, 0, 1, 1])
    (gradient,) = torch.autograd.grad(proportion_l1(logits, y, bag=bag, n_bags=2).sum(), logits)
    torch.testing.assert_close(gradient[0], gradient[2])
    assert gradient[0, 1] < 0


def test_is_zero_with_a_finite_gradient_where_the_proportions_are_met():
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    found = proportion_l1(logits, torch.tensor([[0.5, 0.5]]).double(), bag=torch.tensor([0, 0]), n_bags=1)
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert found.item() == pytest.approx(0, abs=1e-15)
    assert gradient.isfinite().all()


def test_gradient_in_double_precision(bags):
    logits, y, bag, weight = bags(0)

    def value(logits):
        return proportion_l1(logits, y, bag=bag, n_bags=3, sample_weight=weight)

    assert torch.autograd.gradcheck(value, logits.requires_grad_())


def test_learns_rows_by_name():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(300, 2)), np.arange(300) // 6
    y = (X[:, 0] > 0).astype(int)
    model = LLPClassifier("proportion_l1", max_epochs=40, lr=0.02, batch_size=60, random_state=0).fit(X, y, bags=bag)
    assert model.score(X, y) > 0.9
