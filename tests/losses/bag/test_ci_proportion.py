import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.testing import assert_close

from sklearnloss import LLPClassifier, Loss, Mixup
from sklearnloss.functional.bags import BagParts, bag_mean
from sklearnloss.losses.bag.ci_proportion import _half_width, ci_proportion
from sklearnloss.losses.bag.proportion_ce import proportion_ce
from sklearnloss.mixups.mixbag import mixbag

RULES = ("paper", "author_code", "exact")


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


def two_parts(q_first, q_second, g, e, n_first=None, n_second=None):
    """Return one merged bag of two classes, and its expected proportions."""
    first, second = column([1 - q_first, q_first]), column([1 - q_second, q_second])
    parts = BagParts(first, second, column(g), column(e), column(n_first or 2 * g), column(n_second or 2 * e or 1))
    return parts, (g * first + e * second) / (g + e)


def logits_of(p):
    """Return logits of rows whose probability of the second class is p."""
    p = torch.as_tensor(p, dtype=torch.float64)
    return torch.stack([(1 - p).log(), p.log()], dim=1)


def one_bag(p, parts, y, **how):
    """Return the loss of one bag whose mean prediction is p, and the gradient of its rows."""
    logits = logits_of([p, p]).requires_grad_()
    value = ci_proportion(logits, y, bag=torch.tensor([0, 0]), n_bags=1, bag_parts=parts, **how)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return value.item(), gradient


def three_bags(bags, seed):
    """Return logits, expected proportions, bags, weights and parts, of which the last two bags are merged."""
    logits, first, bag, weight = bags(seed)
    second = first.roll(1, 0).flip(1)
    n_first, n_second = column(1, 3, 4), column(0, 2, 3)
    parts = BagParts(first, second, n_first, n_second, column(1, 6, 9), column(5, 4, 6))
    a = (n_first / (n_first + n_second))[:, None]
    return logits, a * first + (1 - a) * second, bag, weight, parts


def naive(logits, y, bag, weight, parts, confidence, rule, finite):
    """Return the value of each bag, written with loops."""
    t, values = norm.ppf(0.5 + confidence / 2), []
    for b in range(len(y)):
        rows = [i for i in range(len(logits)) if bag[i] == b]
        total = sum(weight[i].item() for i in rows)
        mean = sum(weight[i].item() / total * logits[i].softmax(0).numpy() for i in rows)
        g, e = parts.n_first[b].item(), parts.n_second[b].item()
        a, value = g / (g + e), 0.0
        for c in range(y.shape[1]):
            p, q = mean[c], y[b, c].item()
            if e > 0:
                s = []
                for r, m, n in ((parts.first, g, parts.size_first), (parts.second, e, parts.size_second)):
                    r, n = r[b, c].item(), n[b].item()
                    s.append(math.sqrt(r * (1 - r) / m * ((n - m) / (n - 1) if finite else 1)))
                h = {
                    "paper": a * t * s[0] + (1 - a) * t * s[1],
                    "author_code": t * t * s[0] + (1 - a) * t * s[1],
                    "exact": t * math.sqrt(a**2 * s[0] ** 2 + (1 - a) ** 2 * s[1] ** 2),
                }[rule]
                p = q if q - h <= p <= q + h else p
            value -= q * math.log(p)
        values.append(value)
    return values


@pytest.mark.parametrize(("rule", "finite"), [*itertools.product(RULES, [False, True])])
@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_formula_written_with_loops(bags, rule, finite, weighted):
    inside = 0
    for seed, confidence in itertools.product(range(4), (0.1, 0.5, 0.99)):
        logits, y, bag, weight, parts = three_bags(bags, seed)
        weight = weight if weighted else torch.ones_like(weight)
        how = {"confidence": confidence, "ci_rule": rule, "finite_population": finite}
        given = {"bag": bag, "n_bags": 3, "sample_weight": weight if weighted else None}
        found = ci_proportion(logits, y, bag_parts=parts, **given, **how)
        np.testing.assert_allclose(found, naive(logits, y, bag, weight, parts, confidence, rule, finite), rtol=1e-12)
        inside += (found != proportion_ce(logits, y, **given))[1:].sum().item()
    assert 0 < inside < 24


@pytest.mark.parametrize(("rule", "width"), [("author_code", 1.71), ("paper", 0.52), ("exact", 0.37)])
def test_widths_of_the_worked_numbers(rule, width):
    parts, y = two_parts(0.5, 0.2, 5, 5)
    assert _half_width(parts, 0.99, rule, False)[0, 1].item() == pytest.approx(width, abs=0.005)
    off = 0.65 - y[0, 1].item()  # a prediction may be so far off the expected 0.35 and no farther
    assert (one_bag(0.65, parts, y, ci_rule=rule)[1].abs().sum() == 0) == (off <= width)
    high = y[0, 1].item() + width
    if high < 1:
        assert one_bag(high - 0.006, parts, y, ci_rule=rule)[1].abs().sum() == 0
        assert one_bag(high + 0.006, parts, y, ci_rule=rule)[1].abs().sum() > 0


def test_the_interval_of_the_authors_code_holds_every_prediction():
    parts, y = two_parts(0.5, 0.2, 5, 5)
    for p in (1e-9, 0.01, 0.5, 0.99, 1 - 1e-9):
        assert one_bag(p, parts, y, ci_rule="author_code")[1].abs().sum() == 0
    assert one_bag(0.99, parts, y, ci_rule="paper")[1].abs().sum() > 0


def test_inside_the_interval_the_value_is_the_entropy_and_the_gradient_zero():
    parts, y = two_parts(0.5, 0.2, 5, 5)
    entropy = -(y * y.log()).sum().item()
    for p in (0.3, 0.35, 0.4, 0.8):
        value, gradient = one_bag(p, parts, y)
        assert value == pytest.approx(entropy)
        assert (gradient == 0).all()
    value, gradient = one_bag(0.9, parts, y)
    assert value == pytest.approx(-(0.65 * math.log(0.1) + 0.35 * math.log(0.9)))
    assert (gradient[:, 1] > 0).all()  # the second class is asked for less


def test_a_class_outside_counts_alone():
    first = column([0.5, 0.5, 0.0])
    parts = BagParts(first, column([0.0, 0.5, 0.5]), column(5), column(5), column(9), column(9))
    y = column([0.25, 0.5, 0.25])
    p = column(0.01, 0.55, 0.44)  # widths are 0.288, 0.576, 0.288
    logits = p.log().expand(2, 3).clone().requires_grad_()
    value = ci_proportion(
        logits, y, bag=torch.tensor([0, 0]), n_bags=1, bag_parts=parts, confidence=0.6
    )  # and now 0.094, 0.188, 0.094
    assert value.item() == pytest.approx(-(0.25 * math.log(0.01) + 0.5 * math.log(0.5) + 0.25 * math.log(0.44)))


@pytest.mark.parametrize("rule", RULES)
def test_no_confidence_is_the_loss_of_proportions(bags, rule):
    logits, y, bag, weight, parts = three_bags(bags, 0)
    given = {"bag": bag, "n_bags": 3, "sample_weight": weight}
    found = ci_proportion(logits, y, bag_parts=parts, confidence=1e-9, ci_rule=rule, **given)
    assert_close(found, proportion_ce(logits, y, **given))


@pytest.mark.parametrize("rule", RULES)
def test_full_confidence_silences_merged_bags_only(bags, rule):
    logits, y, bag, _, parts = three_bags(bags, 0)
    logits.requires_grad_()
    found = ci_proportion(logits, y, bag=bag, n_bags=3, bag_parts=parts, confidence=1 - 1e-15, ci_rule=rule)
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert (gradient[bag > 0] == 0).all()
    assert (gradient[bag == 0] != 0).all()
    assert_close(found[1:], -(y * y.log()).sum(1)[1:])


@pytest.mark.parametrize("finite", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_a_whole_bag_or_none_merged_is_the_loss_of_proportions(bags, rule, finite):
    logits, y, bag, weight = bags(1)
    size = torch.bincount(bag).double()
    parts = BagParts(y, y.roll(1, 0), size, torch.zeros_like(size), size, size.roll(1))
    given = {"bag": bag, "n_bags": 3, "sample_weight": weight}
    wanted = proportion_ce(logits, y, **given)
    for known in (parts, None):
        found = ci_proportion(logits, y, bag_parts=known, ci_rule=rule, finite_population=finite, **given)
        assert torch.equal(found, wanted)


def test_a_whole_bag_keeps_its_gradient_even_at_its_proportions_nearly():
    parts, y = two_parts(0.5, 0.2, 10, 0, 10, 10)
    assert one_bag(0.5001, parts, y)[1].abs().sum() > 0


def test_pure_parts_leave_nothing_open():
    parts, y = two_parts(1.0, 0.0, 3, 1)
    assert_close(y, column([0.25, 0.75]))
    for rule in RULES:
        value, gradient = one_bag(0.749, parts, y, ci_rule=rule)
        assert value == pytest.approx(-(0.25 * math.log(0.251) + 0.75 * math.log(0.749)))
        assert gradient.abs().sum() > 0


def test_bags_that_are_drawn_whole_leave_nothing_open_in_a_finite_population():
    parts, y = two_parts(0.5, 0.2, 5, 5, 5, 5)
    assert one_bag(0.36, parts, y)[1].abs().sum() == 0
    assert one_bag(0.36, parts, y, finite_population=True)[1].abs().sum() > 0
    single, y = two_parts(1.0, 0.5, 1, 2, 1, 2)
    assert one_bag(0.7, single, y, finite_population=True)[1].isfinite().all()


@pytest.mark.parametrize(("finite", "low", "high"), [(True, 0.87, 0.93), (False, 0.95, 1.0)])
def test_the_exact_interval_holds_the_truth_as_often_as_it_says(finite, low, high):
    bag = torch.repeat_interleave(torch.arange(4), 200)
    labels = torch.rand(800, generator=torch.Generator().manual_seed(0)) < column(0.2, 0.5, 0.4, 0.7)[bag]
    labels = torch.nn.functional.one_hot(labels.long(), 2).double()
    y, held = bag_mean(labels, bag, 4), []
    for seed in range(400):
        index, new, expected, parts = mixbag(bag, y, rng=torch.Generator().manual_seed(seed), probability=1.0)
        width = _half_width(parts, 0.9, "exact", finite)
        held.append(((bag_mean(labels[index], new, 4) - expected).abs() <= width)[:, 1])
    assert low < torch.stack(held).double().mean().item() < high


def test_rules_are_ordered(bags):
    _, _, _, _, parts = three_bags(bags, 0)
    merged = {rule: _half_width(parts, 0.99, rule, False)[1:] for rule in RULES}
    assert (merged["exact"] < merged["paper"]).all()
    assert (merged["paper"] < merged["author_code"]).all()


@pytest.mark.parametrize("confidence", [0.2, 0.6])
def test_gradient_in_double_precision(bags, confidence):
    logits, y, bag, weight, parts = three_bags(bags, 0)

    def value(logits):
        return ci_proportion(logits, y, bag=bag, n_bags=3, sample_weight=weight, bag_parts=parts, confidence=confidence)

    assert torch.autograd.gradcheck(value, logits.requires_grad_())


def test_far_logits_and_classes_that_are_not_there_are_no_nan():
    parts, y = two_parts(0.0, 0.0, 2, 2)
    for far in (-900.0, 900.0):
        logits = torch.tensor([[0.0, far]] * 2, requires_grad=True)
        value = ci_proportion(
            logits, y.float(), bag=torch.tensor([0, 0]), n_bags=1, bag_parts=BagParts(*(v.float() for v in parts))
        )
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        assert value.item() == max(far, 0.0)
        assert gradient.isfinite().all()


def problem(size):
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(240, 2)), np.arange(240) // size
    return X, (X[:, 0] > 0).astype(int), bag


@pytest.mark.parametrize("mixup", [None, Mixup("mixbag", share="half")])
def test_learns_rows_by_name_with_and_without_merged_bags(mixup):
    X, y, bag = problem(6)
    loss = Loss("ci_proportion", ci_rule="exact", finite_population=True)
    model = LLPClassifier(loss, mixup=mixup, max_epochs=40, lr=0.03, batch_size=60, random_state=0)
    assert model.fit(X, y, bags=bag).score(X, y) > 0.9


def test_the_authors_rule_moves_no_weight_where_all_bags_are_merged_and_the_others_do():
    X, y, bag = problem(20)
    moved = []
    for rule, rate in (("exact", 1e-9), ("author_code", 0.02), ("exact", 0.02)):
        model = LLPClassifier(
            Loss("ci_proportion", ci_rule=rule, confidence=0.99 if rule == "author_code" else 0.3),
            mixup=Mixup("mixbag", share="half", probability=1.0),
            max_epochs=5,
            lr=rate,
            batch_size=60,
            random_state=0,
        )
        moved.append(model.fit(X, y, bags=bag).predict_proba(X))
    np.testing.assert_allclose(moved[1], moved[0], atol=1e-5)
    assert np.abs(moved[2] - moved[0]).max() > 0.05
