from fractions import Fraction
from itertools import product
from math import factorial

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sklearnloss import LLPClassifier, Loss
from sklearnloss.losses.bag.easy_llp import easy_llp
from sklearnloss.losses.bag.mean_map import MeanMap

GAMMA = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6], [0.4, 0.4, 0.2]])
SIZES = np.array([2.0, 5.0, 3.0, 8.0])


def built(gamma=GAMMA, sizes=SIZES, **how):
    return MeanMap(bag_proportions=torch.tensor(gamma), bag_sizes=torch.tensor(sizes), **how)


def targets(gamma, sizes, ridge=0.0):
    """Return the targets of all bags from least squares as written in a textbook."""
    n, prior = sizes.sum(), sizes @ gamma / sizes.sum()
    found = np.empty_like(gamma)
    mean = sizes / n  # what the overall mean takes of each bag
    for b in range(len(gamma)):
        bag = np.eye(len(gamma))[b]  # a function that is one in this bag
        # least squares of the bags' means on the proportions, deviations from the overall mean penalised by the prior
        rows = np.vstack([np.sqrt(sizes)[:, None] * gamma, np.diag(np.sqrt(n * ridge * prior))])
        wanted = np.concatenate([np.sqrt(sizes) * bag, np.sqrt(n * ridge * prior) * mean[b]])
        classes = np.linalg.lstsq(rows, wanted, rcond=None)[0]  # its means in the classes: a column of A
        found[b] = prior * n / sizes[b] * classes
    return found


@pytest.mark.parametrize("ridge", [0.0, 0.05, 2.0])
def test_targets_are_those_of_least_squares(ridge):
    found = built(ridge=ridge).targets(torch.tensor(GAMMA))
    np.testing.assert_allclose(found, targets(GAMMA, SIZES, ridge), rtol=1e-9)


def test_more_classes_than_bags_have_the_targets_of_least_squares_without_a_matrix_of_classes():
    gamma = np.random.default_rng(0).dirichlet(np.ones(200), size=4)
    loss = built(gamma, ridge=0.05)
    np.testing.assert_allclose(loss.targets(torch.tensor(gamma)), targets(gamma, SIZES, 0.05), rtol=1e-9, atol=1e-12)
    assert sum(kept.numel() for kept in loss.buffers()) == (4 + 2) * 200  # an axis per bag, and two rows of classes


def test_proportions_that_are_nearly_alike_keep_their_digits():
    gamma = np.array([[0.5 + step, 0.5 - step] for step in (1e-4, -1e-4, 3e-4, 0.0)])
    second, sizes = [1 - Fraction(g) for g in gamma[:, 0]], [Fraction(m) for m in SIZES]
    n = sum(sizes)
    prior = sum(m * g for m, g in zip(sizes, second, strict=True)) / n
    spread = sum(m * (g - prior) ** 2 for m, g in zip(sizes, second, strict=True)) / n
    factor = prior * (1 - prior) / spread  # of two classes, K is a number
    wanted = [float(prior + (g - prior) * factor) for g in second]
    found = built(gamma).targets(torch.tensor(gamma))[:, 1]
    np.testing.assert_allclose(found, wanted, rtol=1e-11)


def test_targets_of_a_bag_sum_to_one():
    for ridge in (0.0, 0.1):
        found = built(ridge=ridge).targets(torch.tensor(GAMMA))
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
        assert found.min() < 0


def test_is_the_formula_written_with_loops(bags):
    logits, y, bag, weight = bags(0)
    sizes = np.array([1.0, 4.0, 7.0])
    loss = built(y.numpy(), sizes)
    t = targets(y.numpy(), sizes)
    for w in (None, weight):
        found = loss(logits, y, bag=bag, n_bags=3, sample_weight=w)
        shares = np.ones(12) if w is None else w.numpy()
        for b in range(3):
            rows = [i for i in range(12) if bag[i] == b]
            value = sum(
                shares[i] * (np.log(np.exp(logits[i].numpy()).sum()) - t[b] @ logits[i].numpy()) for i in rows
            ) / sum(shares[i] for i in rows)
            assert found[b].item() == pytest.approx(value)


def test_pure_bags_have_cross_entropy(bags):
    logits, _, bag, _ = bags(0)
    y = torch.eye(3, dtype=torch.float64)[[1, 0, 2]]
    loss = built(y.numpy(), np.array([1.0, 4.0, 7.0]))
    rows = cross_entropy(logits, torch.tensor([1, 0, 2])[bag], reduction="none")
    wanted = torch.stack([rows[bag == b].mean() for b in range(3)])
    torch.testing.assert_close(loss(logits, y, bag=bag, n_bags=3), wanted)


def test_the_linear_part_has_the_class_means_where_bags_have_their_expected_means():
    means = np.random.default_rng(0).normal(size=(3, 2))  # of a function of rows, in each class
    z = GAMMA @ means  # in each bag
    t = built().targets(torch.tensor(GAMMA)).numpy()
    n, prior = SIZES.sum(), SIZES @ GAMMA / SIZES.sum()
    for c in range(3):
        found = (SIZES / n * t[:, c]) @ z
        np.testing.assert_allclose(found, prior[c] * means[c], atol=1e-12)


def test_class_means_are_estimated_without_bias():
    sizes = (10 * SIZES).astype(int)
    labels = np.concatenate(
        [np.repeat(np.arange(3), np.round(g * m).astype(int)) for g, m in zip(GAMMA, sizes, strict=True)]
    )
    bag = np.repeat(np.arange(4), sizes)
    prior, means = sizes @ GAMMA / sizes.sum(), np.array([-1.0, 0.5, 3.0])
    t = built(sizes=sizes.astype(float)).targets(torch.tensor(GAMMA)).numpy()
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        z = means[labels] + rng.normal(size=len(labels))
        found.append((t[bag] * z[:, None]).mean(0) / prior)
    error = np.mean(found, axis=0) - means
    np.testing.assert_array_less(np.abs(error), 4 * np.std(found, axis=0) / 20)
    assert np.abs(found[0] - means).max() > 0.01  # one draw is not exact


def test_bags_drawn_at_random_have_the_weights_of_easy_llp(bags):
    m, p = 3, np.array([0.2, 0.3, 0.5])
    counts = np.array([c for c in product(range(m + 1), repeat=3) if sum(c) == m])
    chance = np.array([factorial(m) * np.prod([p[j] ** c[j] / factorial(c[j]) for j in range(3)]) for c in counts])
    loss = built(counts / m, chance)  # every bag of three rows, as often as it comes up
    y = torch.tensor(counts[[1, 4, 7]] / m)
    logits = bags(0)[0][:9]
    how = {"bag": torch.arange(9) // 3, "n_bags": 3}
    wanted = easy_llp(logits, y, **how, priors=torch.tensor(p))
    torch.testing.assert_close(loss(logits, y, **how), wanted)


def test_a_large_ridge_gives_cross_entropy_with_the_prior(bags):
    logits, y, bag, _ = bags(0)
    sizes = np.array([1.0, 4.0, 7.0])
    prior = torch.tensor(sizes @ y.numpy() / 12)
    rows = cross_entropy(logits, prior.expand(12, 3), reduction="none")
    found = built(y.numpy(), sizes, ridge=1e12)(logits, y, bag=bag, n_bags=3)
    torch.testing.assert_close(found, torch.stack([rows[bag == b].mean() for b in range(3)]))


def test_pure_bags_with_a_ridge_have_labels_smoothed_to_the_prior():
    sizes = np.array([1.0, 2.0, 5.0])
    found = built(np.eye(3), sizes, ridge=0.25).targets(torch.eye(3, dtype=torch.float64))
    np.testing.assert_allclose(found, (np.eye(3) + 0.25 * sizes / 8) / 1.25, rtol=1e-12)


def test_proportions_that_do_not_tell_classes_apart_leave_the_prior():
    gamma = np.array([[0.5, 0.3, 0.2]] * 3)
    found = built(gamma, np.ones(3)).targets(torch.tensor(gamma))
    np.testing.assert_allclose(found, gamma, rtol=1e-9)
    # the second and third class always come in the same ratio: what they share is found, the rest is the prior's
    gamma = np.array([[0.5, 0.3, 0.2], [0.2, 0.48, 0.32]])
    t = built(gamma, np.ones(2)).targets(torch.tensor(gamma)).numpy()
    np.testing.assert_allclose(t[:, 1] / t[:, 2], 1.5)
    np.testing.assert_allclose(t[:, 0], targets(np.stack([gamma[:, 0], 1 - gamma[:, 0]], 1), np.ones(2))[:, 0])


def test_a_class_in_no_bag_is_no_nan():
    gamma = np.array([[0.5, 0.0, 0.5], [0.2, 0.0, 0.8]])
    for ridge in (0.0, 0.1):
        found = built(gamma, np.ones(2), ridge=ridge).targets(torch.tensor(gamma)).numpy()
        assert (found[:, 1] == 0).all()
        np.testing.assert_allclose(found[:, [0, 2]], targets(gamma[:, [0, 2]], np.ones(2), ridge))


def test_ridge_bounds_what_proportions_near_each_other_do():
    gamma = np.array([[0.501, 0.499], [0.499, 0.501]])
    wild, calm = (built(gamma, np.ones(2), ridge=r).targets(torch.tensor(gamma)).abs().max() for r in (0.0, 0.1))
    assert wild > 100
    assert calm < 1


def test_proportions_in_single_precision_have_the_targets_of_double():
    exact = built().targets(torch.tensor(GAMMA))
    rough = MeanMap(bag_proportions=torch.tensor(GAMMA).float(), bag_sizes=torch.tensor(SIZES).float())
    found = rough.targets(torch.tensor(GAMMA).float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


def test_does_not_see_a_constant_added_to_the_logits_of_a_row(bags):
    logits, y, bag, _ = bags(0)
    loss = built(y.numpy(), np.array([1.0, 4.0, 7.0]))
    moved = logits + torch.arange(12.0)[:, None]
    torch.testing.assert_close(loss(moved, y, bag=bag, n_bags=3), loss(logits, y, bag=bag, n_bags=3))


def test_outputs_far_out_stay_finite(bags):
    _, y, bag, _ = bags(0)
    logits = torch.full((12, 3), 900.0, dtype=torch.float64)
    logits[:6, 1:] = -900.0
    logits.requires_grad_()
    values = built(y.numpy(), np.array([1.0, 4.0, 7.0]))(logits, y, bag=bag, n_bags=3)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


def test_gradient_in_double_precision(bags):
    logits, y, bag, weight = bags(0)
    loss = built(y.numpy(), np.array([1.0, 4.0, 7.0]))

    def value(logits):
        return loss(logits, y, bag=bag, n_bags=3, sample_weight=weight)

    assert torch.autograd.gradcheck(value, logits.requires_grad_())


def test_a_linear_model_learns_rows_by_name():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(600, 2)), np.arange(600) // 6
    y = (X[:, 0] > 0).astype(int)
    for loss in ("mean_map", Loss("meanmap", ridge=0.05)):
        model = LLPClassifier(loss, hidden_layer_sizes=(), max_epochs=30, lr=0.02, batch_size=60, random_state=0)
        assert model.fit(X, y, bags=bag).score(X, y) > 0.9
