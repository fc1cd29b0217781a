import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sklearnloss import LLPClassifier
from sklearnloss.functional.assignment import count_log_odds, fitted_plan
from sklearnloss.losses.bag import em_llp as module
from sklearnloss.losses.bag.em_llp import em_llp


def by_enumeration(log_p, counts):
    """Return the posterior of the rows of a bag, by all labelings with these counts, and the likelihood of these."""
    classes = [c for c, count in enumerate(counts) for _ in range(count)]
    posterior, total = np.zeros(log_p.shape), 0.0
    for labels in set(itertools.permutations(classes)):
        likelihood = np.exp(sum(log_p[i, c] for i, c in enumerate(labels)))
        posterior[np.arange(len(labels)), list(labels)] += likelihood
        total += likelihood
    return posterior / total, total


def labels_of(logits, y, bag, n_bags):
    """Return the labels that the loss used, from its gradient (p - q) / n_b."""
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(em_llp(leaf, y, bag=bag, n_bags=n_bags).sum(), leaf)
    return logits.softmax(1) - gradient * torch.bincount(bag)[bag][:, None]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_classes_are_the_formula_written_with_loops(bags, seed):
    logits, _, bag, _ = bags(seed, n_classes=2)
    counts = [[0, 1], [1, 3], [5, 2]]
    y = torch.tensor(counts, dtype=torch.float64)
    found = em_llp(logits, y / y.sum(1, keepdim=True), bag=bag, n_bags=3)
    for b in range(3):
        log_p = logits[bag == b].log_softmax(1).numpy()
        posterior, _ = by_enumeration(log_p, counts[b])
        assert found[b].item() == pytest.approx(-(posterior * log_p).sum() / len(log_p), rel=1e-10)


def test_for_two_classes_the_gradient_is_that_of_the_likelihood_of_the_count(bags):
    logits, _, bag, _ = bags(3, n_classes=2)
    logits, bag, y = logits[bag == 2], torch.zeros(7, dtype=torch.int64), torch.tensor([[4 / 7, 3 / 7]])
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(em_llp(leaf, y, bag=bag, n_bags=1).sum(), leaf)
    for i, c in itertools.product(range(7), range(2)):
        step = torch.zeros_like(logits)
        step[i, c] = 1e-4
        above, below = (by_enumeration((logits + s).log_softmax(1).numpy(), [4, 3])[1] for s in (step, -step))
        assert gradient[i, c].item() == pytest.approx(-(np.log(above) - np.log(below)) / 7 / 2e-4, abs=1e-7)


@pytest.mark.parametrize("counts", [(2, 2, 2), (4, 2, 1), (3, 1, 1, 1)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_of_more_classes_are_far_nearer_to_the_posterior_than_those_of_transport(seed, counts):
    n, k = sum(counts), len(counts)
    logits = torch.randn(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y, bag = torch.tensor([counts], dtype=torch.float64) / n, torch.zeros(n, dtype=torch.int64)
    exact, _ = by_enumeration(logits.log_softmax(1).numpy(), counts)
    labels = labels_of(logits, y, bag, 1).numpy()
    plan = fitted_plan(logits.log_softmax(1), y, bag, 1, iterations=200).numpy()
    assert np.abs(labels - exact).max() < 0.4 * np.abs(plan - exact).max()
    np.testing.assert_allclose(labels.sum(1), 1)
    np.testing.assert_allclose(labels.mean(0), y[0], atol=1e-3)


@pytest.mark.parametrize("cells", [1, 60, 1 << 17])  # one class at a time, two, all
def test_labels_are_those_of_each_bag_alone_however_many_classes_are_looked_at_together(bags, cells, monkeypatch):
    logits, y, bag, _ = bags(6, n_classes=5)
    alone = [labels_of(logits[bag == b], y[[b]], torch.zeros(int((bag == b).sum()), dtype=int), 1) for b in range(3)]
    monkeypatch.setattr(module, "CELLS", cells)
    together = labels_of(logits, y, bag, 3)
    for b in range(3):
        torch.testing.assert_close(together[bag == b], alone[b])


def test_a_thousand_classes_are_not_a_thousand_searches(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "count_log_odds", lambda *args: calls.append(args) or count_log_odds(*args))
    logits = torch.randn(8, 1000, generator=torch.Generator().manual_seed(0))
    y = torch.full((2, 1000), 1e-3)
    em_llp(logits, y, bag=torch.arange(8) % 2, n_bags=2, iterations=1)
    assert len(calls) == 1


def test_labels_of_rows_that_are_all_alike_are_the_proportions():
    y = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    logits = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64).expand(10, 3)
    labels = labels_of(logits, y, torch.zeros(10, dtype=torch.int64), 1)
    torch.testing.assert_close(labels, y.expand(10, 3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("k", [2, 3])
def test_pure_bags_and_bags_of_one_row_have_the_cross_entropy(bags, k):
    logits, _, bag, _ = bags(4, n_classes=k)
    pure = torch.eye(k, dtype=torch.float64)[[1, 0, 1]]
    rows = cross_entropy(logits, pure[bag], reduction="none")
    found = em_llp(logits, pure, bag=bag, n_bags=3)
    torch.testing.assert_close(found, torch.stack([rows[bag == b].mean() for b in range(3)]))


def test_a_class_that_is_absent_from_a_bag_leaves_the_posterior_of_the_other_two(bags):
    logits, _, bag, _ = bags(5)
    logits, bag = logits[bag == 2], torch.zeros(7, dtype=torch.int64)
    y = torch.tensor([[3 / 7, 0, 4 / 7]], dtype=torch.float64)
    labels = labels_of(logits, y, bag, 1)
    two = labels_of(logits[:, [0, 2]], y[:, [0, 2]], bag, 1)
    assert (labels[:, 1].abs() < 1e-12).all()
    assert (labels[:, [0, 2]] - two).abs().max() < 0.02


def test_a_count_between_whole_numbers_is_between_their_labels():
    logits = torch.tensor([[0.0, 1.0], [0.0, -0.5], [0.0, 0.2]], dtype=torch.float64)
    bag = torch.zeros(3, dtype=torch.int64)
    ones, between, twos = (
        labels_of(logits, torch.tensor([[1 - c / 3, c / 3]], dtype=torch.float64), bag, 1)[:, 1]
        for c in (1.0, 1.4, 2.0)
    )
    assert ((ones < between) & (between < twos)).all()


@pytest.mark.parametrize("k", [2, 3])
def test_sure_predictions_against_the_counts_are_drawn_to_them(k):
    logits = torch.zeros(6, k)
    logits[:, 0] = 200 - torch.arange(6.0)
    y = torch.zeros(1, k)
    y[0, :2] = torch.tensor([1 / 3, 2 / 3])
    labels = labels_of(logits, y, torch.zeros(6, dtype=torch.int64), 1)
    assert torch.isfinite(labels).all()
    torch.testing.assert_close(labels.mean(0, keepdim=True), y, atol=0.02, rtol=0)
    assert (labels[:-1, 0] > labels[1:, 0]).all()  # the surer, the likelier to keep its class


def test_large_bags_are_stable():
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(600, 2, generator=generator)
    y = torch.tensor([[0.2, 0.8]])
    labels = labels_of(logits, y, torch.zeros(600, dtype=torch.int64), 1)
    torch.testing.assert_close(labels.mean(0, keepdim=True), y, atol=1e-4, rtol=0)


@pytest.mark.parametrize("k", [2, 3])
def test_learns_rows_by_name(k):
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(240, 2)), np.arange(240) // 6
    y = (X[:, 0] > 0).astype(int) if k == 2 else X[:, 0].argsort().argsort() // 80
    model = LLPClassifier("em_llp", max_epochs=30, lr=0.03, batch_size=60, random_state=0).fit(X, y, bags=bag)
    assert model.score(X, y) > 0.85
