import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, linear_sum_assignment
from scipy.special import expit
from scipy.stats import nchypergeom_fisher

from sklearnloss.functional import assignment
from sklearnloss.functional.assignment import (
    count_log_odds,
    count_log_potential,
    count_marginals,
    fitted_plan,
    whole_counts,
)
from sklearnloss.functional.bags import bag_mean, bag_sum

SIZES = (1, 4, 7)


def rows(seed, sizes=SIZES, k=3, scale=1.0):
    """Return log probabilities, proportions and bags in mixed order."""
    generator = torch.Generator().manual_seed(seed)
    bag = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    bag = bag[torch.randperm(len(bag), generator=generator)]
    logits = scale * torch.randn(len(bag), k, generator=generator, dtype=torch.float64)
    y = torch.softmax(torch.randn(len(sizes), k, generator=generator, dtype=torch.float64), 1)
    return logits.log_softmax(1), y, bag


# -- plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_plan_is_that_of_plain_scaling(epsilon):
    log_p, y, bag = rows(0)
    weight = torch.arange(1.0, 13, dtype=torch.float64)
    found = fitted_plan(log_p, y, bag, 3, weight, iterations=300, epsilon=epsilon)
    for b in range(3):
        w = weight[bag == b].numpy() / weight[bag == b].sum().item()
        plan = w[:, None] * np.exp(log_p[bag == b].numpy() / epsilon)
        for _ in range(2000):
            plan *= (y[b].numpy() / plan.sum(0))[None]
            plan *= (w / plan.sum(1))[:, None]
        np.testing.assert_allclose(found[bag == b], plan / w[:, None], atol=1e-9)


def test_plan_of_two_classes_is_a_shift_of_the_log_odds():
    log_p, y, bag = rows(1, sizes=(9,), k=2)
    odds = (log_p[:, 1] - log_p[:, 0]).numpy()
    shift = brentq(lambda t: expit(odds + t).mean() - y[0, 1].item(), -50, 50, xtol=1e-14)
    np.testing.assert_allclose(fitted_plan(log_p, y, bag, 1, iterations=200)[:, 1], expit(odds + shift), atol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_plan_gives_rows_one_and_bags_their_proportions(weighted):
    log_p, y, bag = rows(2)
    weight = torch.arange(1.0, 13, dtype=torch.float64) if weighted else None
    plan = fitted_plan(log_p, y, bag, 3, weight, iterations=200)
    torch.testing.assert_close(plan.sum(1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(bag_mean(plan, bag, 3, weight), y, atol=1e-9, rtol=0)


def test_plan_of_predictions_that_fit_is_the_predictions():
    log_p, _, bag = rows(3)
    torch.testing.assert_close(fitted_plan(log_p, bag_mean(log_p.exp(), bag, 3), bag, 3, iterations=200), log_p.exp())


def test_plan_is_hard_for_small_epsilon_and_flat_for_large_epsilon():
    log_p, _, bag = rows(4, sizes=(12,), scale=5.0)
    counts = [3, 5, 4]
    y = torch.tensor([counts], dtype=torch.float64) / 12
    hard = fitted_plan(log_p, y, bag, 1, iterations=1000, epsilon=0.005)
    classes = np.repeat(np.arange(3), counts)
    best = classes[linear_sum_assignment(log_p[:, classes].numpy(), maximize=True)[1]]
    np.testing.assert_allclose(hard, np.eye(3)[best], atol=0.01)
    flat = fitted_plan(log_p, y, bag, 1, epsilon=1e6)
    torch.testing.assert_close(flat, y.expand(12, 3), atol=1e-5, rtol=0)


def test_plan_gives_an_absent_class_to_no_row_and_a_pure_bag_its_class():
    log_p, _, bag = rows(5)
    y = torch.tensor([[0, 1, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]], dtype=torch.float64)
    plan = fitted_plan(log_p, y, bag, 3)
    assert torch.equal(plan[bag == 0], torch.tensor([[0.0, 1, 0]], dtype=torch.float64))
    assert (plan[bag == 1][:, 2] == 0).all()
    assert torch.isfinite(plan).all()


def test_plan_corrects_predictions_that_are_sure_and_wrong():
    logits = torch.zeros(8, 3)
    logits[:, 0] = 200 + torch.arange(8.0)  # all rows are sure of one class; the proportions name another for half
    y = torch.tensor([[0.5, 0.5, 0.0]])
    plan = fitted_plan(logits.log_softmax(1), y, torch.zeros(8, dtype=torch.int64), 1)
    torch.testing.assert_close(plan.mean(0, keepdim=True), y, atol=0.01, rtol=0)
    assert (plan[4:, 0] > 0.5).all()  # those that are surest keep theirs


def test_plan_holds_repetition_to_be_weight():
    log_p, y, bag = rows(6)
    counts = torch.arange(12) % 3 + 1
    twice = torch.repeat_interleave(torch.arange(12), counts)
    weighted = fitted_plan(log_p, y, bag, 3, counts.double())
    torch.testing.assert_close(fitted_plan(log_p[twice], y, bag[twice], 3), weighted[twice])


def test_plan_keeps_no_graph():
    log_p, y, bag = rows(7)
    assert not fitted_plan(log_p.requires_grad_(), y, bag, 3).requires_grad


# -- counts -----------------------------------------------------------------------------------------------------------


def by_enumeration(odds, potential):
    """Return the probability that each row of a bag is positive, by all labelings."""
    positive, total = np.zeros(len(odds)), 0.0
    for labels in itertools.product([0, 1], repeat=len(odds)):
        labels = np.array(labels)
        likelihood = np.exp(odds @ labels) * potential[labels.sum()]
        positive, total = positive + likelihood * labels, total + likelihood
    return positive / total


def bags_of(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    bag = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    bag = bag[torch.randperm(len(bag), generator=generator)]
    return 2 * torch.randn(len(bag), generator=generator, dtype=torch.float64), bag


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_marginals_of_counts_are_those_of_all_labelings(seed):
    odds, bag = bags_of((1, 10, 4, 7), seed)
    counts = torch.tensor([1, 3 + seed, 2, 6])
    found = count_marginals(odds, counts, bag, 4)
    for b in range(4):
        wanted = by_enumeration(odds[bag == b].numpy(), np.arange(11) == counts[b].item())
        np.testing.assert_allclose(found[bag == b], wanted, rtol=1e-10)


def test_marginals_of_a_soft_potential_are_those_of_all_labelings():
    odds, bag = bags_of((3, 8, 6), 3)
    potential = torch.rand(3, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    potential[1, 2] = 0
    found = count_marginals(odds, None, bag, 3, log_potential=potential.log())
    for b in range(3):
        wanted = by_enumeration(odds[bag == b].numpy(), potential[b].numpy())
        np.testing.assert_allclose(found[bag == b], wanted, rtol=1e-10)


def test_a_flat_potential_leaves_rows_independent():
    odds, bag = bags_of((3, 8), 4)
    found = count_marginals(odds, None, bag, 2, log_potential=torch.zeros(2, 9))
    torch.testing.assert_close(found, odds.sigmoid())


def test_a_count_between_whole_numbers_is_one_of_them():
    odds, bag = bags_of((6,), 5)
    found = count_marginals(odds, torch.tensor([2.25]), bag, 1)
    potential = np.array([0, 0, 0.75, 0.25, 0, 0, 0])
    np.testing.assert_allclose(found, by_enumeration(odds.numpy(), potential), rtol=1e-10)
    assert 2 < found.sum() < 3


def test_a_proportion_in_single_precision_gives_a_whole_count():
    count = torch.nextafter(torch.tensor([341.0]), torch.tensor([342.0]))  # 3e-5 more, as rounding may leave it
    potential = count_log_potential(count, 1023)
    assert potential[0, 341] == 0
    assert torch.isinf(potential).sum() == 1023


def test_equal_odds_give_the_share_and_no_doubt_gives_zero_or_one():
    bag = torch.repeat_interleave(torch.arange(3), 5)
    found = count_marginals(torch.full((15,), -1.7), torch.tensor([2, 0, 5]), bag, 3)
    torch.testing.assert_close(found, torch.tensor([0.4, 0.0, 1.0])[bag])
    assert torch.equal(found[5:], torch.tensor([0.0, 1.0]).repeat_interleave(5))


def test_a_constant_in_the_log_odds_changes_nothing():
    odds, bag = bags_of((9, 20), 6)
    counts = torch.tensor([3, 11])
    shifted = odds + torch.tensor([30.0, -55.0], dtype=torch.float64)[bag]
    torch.testing.assert_close(count_log_odds(shifted, counts, bag, 2), count_log_odds(odds, counts, bag, 2))


@pytest.mark.parametrize("count", [40, 512, 1000])
def test_marginals_of_a_large_bag_of_two_kinds_are_hypergeometric(count):
    n, m, odds = 1024, 400, math.exp(1.5)
    log_odds = torch.where(torch.arange(n) < m, 1.5, 0.0).double() - 7.0
    found = count_marginals(log_odds, torch.tensor([count]), torch.zeros(n, dtype=torch.int64), 1)
    mean = nchypergeom_fisher(n, m, count, odds).mean()
    np.testing.assert_allclose(found[:m], mean / m, rtol=1e-8)
    np.testing.assert_allclose(found[m:], (count - mean) / (n - m), rtol=1e-8)


def test_bags_of_different_sizes_do_not_disturb_each_other(monkeypatch):
    sizes = (1, 2, 17, 20, 60, 3, 19)
    odds, bag = bags_of(sizes, 7)
    counts = torch.tensor([0, 1, 9, 20, 31, 2, 4])
    together = count_marginals(odds, counts, bag, 7)
    for b, count in enumerate(counts):
        own = bag == b
        alone = count_marginals(odds[own], count[None], torch.zeros(sizes[b], dtype=torch.int64), 1)
        torch.testing.assert_close(together[own], alone, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(bag_sum(together, bag, 7), counts.double())
    monkeypatch.setattr(assignment, "CELLS", 500)
    torch.testing.assert_close(count_marginals(odds, counts, bag, 7), together)


def test_sure_predictions_against_the_count_stay_finite():
    odds = torch.tensor([200.0, 200, 200, 200, -200, -200, -200, 199], dtype=torch.float32)
    found = count_marginals(odds, torch.tensor([1]), torch.zeros(8, dtype=torch.int64), 1)
    wanted = torch.tensor([1.0, 1, 1, 1, 0, 0, 0, math.exp(-1)]) / (4 + math.exp(-1))
    torch.testing.assert_close(found, wanted)
    assert found.dtype == torch.float32


# -- whole counts -----------------------------------------------------------------------------------------------------


def test_whole_counts_sum_to_sizes_and_are_nearest():
    _, y, bag = rows(8, sizes=(1, 4, 7, 100), k=4)
    counts = whole_counts(y, bag, 4)
    assert counts.sum(1).tolist() == [1, 4, 7, 100]
    assert ((counts - y * counts.sum(1, keepdim=True)).abs() < 1).all()
    for b, size in enumerate((1, 4, 7)):  # largest remainders give the least sum of differences
        all_counts = [c for c in itertools.product(range(size + 1), repeat=4) if sum(c) == size]
        least = min(np.abs(np.array(c) - size * y[b].numpy()).sum() for c in all_counts)
        assert (counts[b] - size * y[b]).abs().sum().item() == pytest.approx(least)


def test_whole_counts_of_true_proportions_are_the_counts():
    bag = torch.zeros(47, dtype=torch.int64)
    for true in ([13, 34, 0], [0, 0, 47], [15, 16, 16]):
        y = torch.tensor([true], dtype=torch.float32) / 47
        assert whole_counts(y, bag, 1).tolist() == [true]
