import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sklearnloss import LLPClassifier
from sklearnloss.losses.bag.alternating import alternating


def cheapest(log_p, counts):
    """Return the least mean cross entropy over all labelings of a bag with these counts."""
    classes = [c for c, count in enumerate(counts) for _ in range(count)]
    labelings = set(itertools.permutations(classes))
    return min(-np.mean([log_p[i, c] for i, c in enumerate(labels)]) for labels in labelings)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("counts", [[[0, 1], [1, 3], [5, 2]], [[0, 1, 0], [2, 1, 1], [3, 2, 2]]])
def test_is_the_least_cross_entropy_of_all_labelings_with_the_counts(bags, seed, counts):
    logits, _, bag, _ = bags(seed, n_classes=len(counts[0]))
    y = torch.tensor(counts, dtype=torch.float64)
    found = alternating(logits, y / y.sum(1, keepdim=True), bag=bag, n_bags=3)
    for b in range(3):
        assert found[b].item() == pytest.approx(cheapest(logits[bag == b].log_softmax(1).numpy(), counts[b]))


def test_two_classes_written_as_three_have_the_same_value(bags):
    logits, y, bag, _ = bags(3, n_classes=2)
    wide = torch.cat([logits, torch.full((12, 1), -60.0, dtype=torch.float64)], dim=1)
    absent = torch.cat([y, torch.zeros(3, 1, dtype=torch.float64)], dim=1)
    by_sorting, by_assignment = alternating(logits, y, bag=bag, n_bags=3), alternating(wide, absent, bag=bag, n_bags=3)
    torch.testing.assert_close(by_sorting, by_assignment)


def test_rows_of_largest_log_odds_are_positive_wherever_they_stand():
    logits = torch.tensor([[0.0, 3.0], [0.0, 1.0], [0.0, 2.0], [9.0, 0.0], [5.0, 0.0]], requires_grad=True)
    bag = torch.tensor([0, 1, 0, 1, 1])
    value = alternating(logits, torch.tensor([[0.5, 0.5], [1 / 3, 2 / 3]]), bag=bag, n_bags=2)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert (gradient[:, 1] < 0).tolist() == [True, True, False, False, True]  # drawn up


@pytest.mark.parametrize("k", [2, 3])
def test_true_proportions_of_a_perfect_network_give_the_labels(k):
    labels = torch.arange(30) % 7 % k
    logits, bag = 20.0 * torch.eye(k)[labels], torch.arange(30) // 5
    y = torch.stack([torch.eye(k)[labels[bag == b]].mean(0) for b in range(6)])
    value = alternating(logits, y, bag=bag, n_bags=6)
    torch.testing.assert_close(value, torch.zeros(6), atol=1e-6, rtol=0)


@pytest.mark.parametrize("k", [2, 3])
def test_a_pure_bag_has_the_cross_entropy_of_its_class(bags, k):
    logits, _, bag, _ = bags(4, n_classes=k)
    pure = torch.eye(k, dtype=torch.float64)[[1, 0, 1]]
    rows = cross_entropy(logits, pure[bag], reduction="none")
    found = alternating(logits, pure, bag=bag, n_bags=3)
    torch.testing.assert_close(found, torch.stack([rows[bag == b].mean() for b in range(3)]))


@pytest.mark.parametrize("k", [2, 3])
def test_gradient_in_double_precision(bags, k):
    logits, y, bag, _ = bags(5, n_classes=k)
    assert torch.autograd.gradcheck(lambda z: alternating(z, y, bag=bag, n_bags=3), logits.requires_grad_())


@pytest.mark.parametrize("k", [2, 3])
def test_outputs_that_are_no_numbers_make_a_value_that_is_none(k):
    logits = torch.full((4, k), torch.nan)
    value = alternating(logits, torch.full((1, k), 1 / k), bag=torch.zeros(4, dtype=torch.int64), n_bags=1)
    assert torch.isnan(value).all()


@pytest.mark.parametrize("k", [2, 3])
def test_learns_rows_by_name(k):
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(240, 2)), np.arange(240) // 6
    y = (X[:, 0] > 0).astype(int) if k == 2 else X[:, 0].argsort().argsort() // 80
    model = LLPClassifier("alternating", max_epochs=30, lr=0.03, batch_size=60, random_state=0).fit(X, y, bags=bag)
    assert model.score(X, y) > 0.8
