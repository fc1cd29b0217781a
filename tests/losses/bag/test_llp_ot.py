import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import expit
from torch.nn.functional import cross_entropy

from sklearnloss import LLPClassifier, Loss
from sklearnloss.losses.bag.alternating import alternating
from sklearnloss.losses.bag.llp_ot import llp_ot


def transport(log_p, y, w, epsilon):
    """Return the plan of one bag as labels, by plain scaling in numpy, and the transport cost with its entropy."""
    plan = w[:, None] * np.exp(log_p / epsilon)
    for _ in range(3000):
        plan *= (y / plan.sum(0))[None]
        plan *= (w / plan.sum(1))[:, None]
    labels = plan / w[:, None]
    return labels, np.sum(plan * (-log_p + epsilon * np.log(labels)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0])
def test_is_the_formula_written_with_loops(bags, epsilon, weighted):
    logits, y, bag, weight = bags(0)
    weight = weight if weighted else torch.ones_like(weight)
    given = weight if weighted else None
    found = llp_ot(logits, y, bag=bag, n_bags=3, sample_weight=given, epsilon=epsilon, iterations=400)
    for b in range(3):
        log_p, w = logits[bag == b].log_softmax(1).numpy(), weight[bag == b].numpy()
        labels, _ = transport(log_p, y[b].numpy(), w / w.sum(), epsilon)
        assert found[b].item() == pytest.approx(-np.sum((w / w.sum())[:, None] * labels * log_p), rel=1e-8)


def test_the_gradient_is_that_of_the_transport_cost_with_its_entropy(bags):
    logits, y, bag, _ = bags(1)
    logits, bag, y = logits[bag == 2], torch.zeros(7, dtype=torch.int64), y[2:]
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(llp_ot(logits, y, bag=bag, n_bags=1, epsilon=0.7, iterations=400).sum(), logits)

    def cost(z):
        return transport(z.log_softmax(1).numpy(), y[0].numpy(), np.full(7, 1 / 7), 0.7)[1]

    for i, c in ((0, 0), (3, 2), (6, 1)):
        step = torch.zeros_like(gradient)
        step[i, c] = 1e-4
        difference = (cost(logits.detach() + step) - cost(logits.detach() - step)) / 2e-4
        assert gradient[i, c].item() == pytest.approx(difference, abs=1e-7)


def test_two_classes_pull_rows_to_their_own_prediction_shifted_to_the_proportion():
    odds = np.array([2.0, 0.3, -1.0, 0.7])
    logits = torch.from_numpy(np.stack([np.zeros(4), odds], axis=1)).requires_grad_()
    y = torch.tensor([[0.7, 0.3]], dtype=torch.float64)
    value = llp_ot(logits, y, bag=torch.zeros(4, dtype=torch.int64), n_bags=1, iterations=200)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    shift = brentq(lambda t: expit(odds + t).mean() - 0.3, -20, 20, xtol=1e-13)
    np.testing.assert_allclose(gradient[:, 1], (expit(odds) - expit(odds + shift)) / 4, atol=1e-9)


def test_predictions_that_meet_the_proportions_are_left_where_they_are(bags):
    logits, _, bag, _ = bags(2)
    mean = torch.stack([logits.softmax(1)[bag == b].mean(0) for b in range(3)])
    value = llp_ot(logits.requires_grad_(), mean, bag=bag, n_bags=3)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)


def test_small_epsilon_is_a_hard_assignment_and_large_epsilon_soft_labels_of_the_proportions(bags):
    logits, _, bag, _ = bags(3)
    y = torch.tensor([[1.0, 0, 0], [0.5, 0.25, 0.25], [2 / 7, 2 / 7, 3 / 7]], dtype=torch.float64)
    hard = llp_ot(logits, y, bag=bag, n_bags=3, epsilon=0.005, iterations=500)
    torch.testing.assert_close(hard, alternating(logits, y, bag=bag, n_bags=3), atol=1e-3, rtol=0)
    flat = llp_ot(logits, y, bag=bag, n_bags=3, epsilon=1e6)
    wanted = cross_entropy(logits, y[bag], reduction="none")
    torch.testing.assert_close(flat, torch.stack([wanted[bag == b].mean() for b in range(3)]), atol=1e-4, rtol=0)


def test_a_bag_of_one_row_and_a_pure_bag_have_the_cross_entropy(bags):
    logits, y, bag, _ = bags(4)
    found = llp_ot(logits[:3], y, bag=torch.arange(3), n_bags=3)
    torch.testing.assert_close(found, cross_entropy(logits[:3], y, reduction="none"))
    pure = torch.eye(3, dtype=torch.float64)[:1].expand(3, 3)
    rows = cross_entropy(logits, torch.zeros(12, dtype=torch.int64), reduction="none")
    found = llp_ot(logits, pure, bag=bag, n_bags=3)
    torch.testing.assert_close(found, torch.stack([rows[bag == b].mean() for b in range(3)]))


def test_a_row_of_weight_zero_is_not_there(bags):
    logits, y, bag, weight = bags(5)
    weight[bag == 2] = torch.tensor([0.0, 1, 2, 0, 1, 3, 1], dtype=torch.float64)
    kept = weight > 0
    found = llp_ot(logits, y, bag=bag, n_bags=3, sample_weight=weight)
    alone = llp_ot(logits[kept], y, bag=bag[kept], n_bags=3, sample_weight=weight[kept])
    torch.testing.assert_close(found, alone)


def test_a_network_that_is_sure_of_one_class_is_drawn_to_the_proportions():
    logits = torch.tensor([[400.0, 0, 0], [300, 0, 0], [200, 0, 0], [100, 0, 0]], requires_grad=True)
    value = llp_ot(logits, torch.tensor([[0.5, 0.25, 0.25]]), bag=torch.zeros(4, dtype=torch.int64), n_bags=1)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    torch.testing.assert_close(gradient.sum(0), torch.tensor([0.5, -0.25, -0.25]), atol=0.02, rtol=0)
    assert gradient[0].abs().max() < 0.01  # the surest row keeps its class


@pytest.mark.parametrize(("k", "loss"), [(2, "llp_ot"), (3, Loss("llp_ot", epsilon=0.5) + Loss("proportion_ce"))])
def test_learns_rows_by_name_and_in_a_sum(k, loss):
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(240, 2)), np.arange(240) // 6
    y = (X[:, 0] > 0).astype(int) if k == 2 else X[:, 0].argsort().argsort() // 80
    model = LLPClassifier(loss, max_epochs=30, lr=0.03, batch_size=60, random_state=0).fit(X, y, bags=bag)
    assert model.score(X, y) > 0.85
