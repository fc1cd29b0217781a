import math

import numpy as np
import pytest
import torch

from sklearnloss import LLPClassifier, Loss
from sklearnloss.losses.bag.prior_entropy import prior_entropy

PRIORS = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
UNIFORM = torch.full((3,), 1 / 3, dtype=torch.float64)


def naive(logits, y, bag, weight, nu, entropy_weight, prior_weight):
    """Return the value of each bag, written with loops."""
    values = []
    for b in range(len(y)):
        rows = [i for i in range(len(logits)) if bag[i] == b]
        total = sum(weight[i].item() for i in rows)
        p = {i: np.exp(logits[i].numpy()) / np.exp(logits[i].numpy()).sum() for i in rows}
        entropy = -sum(
            weight[i].item() / total * nu[c] * p[i][c] * math.log(p[i][c]) for i in rows for c in range(len(nu))
        )
        mean = sum(weight[i].item() / total * p[i] for i in rows)
        divergence = sum(mean[c] * math.log(mean[c] / y[b, c].item()) for c in range(len(nu)))
        values.append(entropy_weight * entropy + prior_weight * divergence)
    return values


@pytest.mark.parametrize(
    ("weighting", "nu"),
    [("inverse", [5 / (5 + 10 / 3 + 2), 10 / 3 / (5 + 10 / 3 + 2), 2 / (5 + 10 / 3 + 2)]), ("equal", [1, 1, 1])],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_formula_written_with_loops(bags, weighted, weighting, nu):
    logits, y, bag, weight = bags(0)
    weight = weight if weighted else torch.ones_like(weight)
    found = prior_entropy(
        logits,
        y,
        bag=bag,
        n_bags=3,
        priors=PRIORS,
        sample_weight=weight if weighted else None,
        entropy_weight=0.7,
        prior_weight=1.3,
        weighting=weighting,
    )
    np.testing.assert_allclose(found, naive(logits, y, bag, weight, nu, 0.7, 1.3), rtol=1e-12)


def test_worked_numbers():
    # a row of (1/4, 3/4): entropy log(4)/4 + 3 log(4/3)/4; weights .9 and .1 at shares .1 and .9
    logits = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64)
    y, priors = torch.tensor([[0.5, 0.5]], dtype=torch.float64), torch.tensor([0.1, 0.9], dtype=torch.float64)

    def value(**how):
        return prior_entropy(logits, y, bag=torch.tensor([0]), n_bags=1, priors=priors, **how).item()

    first, second = math.log(4) / 4, 3 * math.log(4 / 3) / 4
    divergence = math.log(0.5) / 4 + 3 * math.log(1.5) / 4
    assert value() == pytest.approx(0.9 * first + 0.1 * second + divergence)
    assert value(weighting="equal") == pytest.approx(first + second + divergence)
    assert value(entropy_weight=0.0) == pytest.approx(divergence)


def test_without_the_prior_any_constant_class_has_loss_zero():
    bag = torch.tensor([0, 0, 1])
    y = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    for c in range(3):
        logits = torch.zeros(3, 3)
        logits[:, c] = 100.0
        collapsed = prior_entropy(logits, y, bag=bag, n_bags=2, priors=PRIORS.float(), prior_weight=0.0)
        held = prior_entropy(logits, y, bag=bag, n_bags=2, priors=PRIORS.float())
        assert collapsed.max() < 1e-30
        assert held[0] > 0.5


def test_proportions_that_are_met_leave_the_entropy_only(bags):
    logits, _, bag, _ = bags(0)
    p = logits.softmax(1)
    y = torch.stack([p[bag == b].mean(0) for b in range(3)])
    found = prior_entropy(logits, y, bag=bag, n_bags=3, priors=PRIORS, weighting="equal")
    entropy = -(p * p.log()).sum(1)
    torch.testing.assert_close(found, torch.stack([entropy[bag == b].mean() for b in range(3)]))


def test_uniform_rows_and_uniform_proportions_have_log_k_times_the_mean_weight():
    logits, y, bag = torch.zeros(4, 3, dtype=torch.float64), UNIFORM.expand(1, 3), torch.zeros(4, dtype=torch.int64)
    for weighting, mean in (("equal", 1.0), ("inverse", 1 / 3)):
        found = prior_entropy(logits, y, bag=bag, n_bags=1, priors=PRIORS, weighting=weighting)
        assert found.item() == pytest.approx(math.log(3) * mean)


def test_with_uniform_proportions_it_is_log_k_minus_the_mutual_information(bags):
    logits, _, bag, _ = bags(1)
    p = logits.softmax(1)
    found = prior_entropy(logits, UNIFORM.expand(3, 3), bag=bag, n_bags=3, priors=UNIFORM, weighting="equal")
    for b in range(3):
        rows = p[bag == b]
        mean = rows.mean(0)
        information = (rows * (rows / mean).log()).sum() / len(rows)
        assert found[b].item() == pytest.approx(math.log(3) - information.item())


def test_the_prediction_comes_first_in_the_divergence():
    # predicting half of what a bag lacks costs about 23 / 2; lacking half of what it has costs log(2) only
    logits, bag = torch.tensor([[0.0, 0.0], [0.0, 200.0]]), torch.tensor([0, 1])
    y, half = torch.tensor([[0.0, 1.0], [0.5, 0.5]]), torch.tensor([0.5, 0.5])
    found = prior_entropy(logits, y, bag=bag, n_bags=2, priors=half, entropy_weight=0.0)
    assert found[0].item() == pytest.approx(10 * math.log(10) / 2 - math.log(2))
    assert found[1].item() == pytest.approx(math.log(2))


def test_weights_of_classes_decide_the_rare_ones():
    p = torch.tensor([[0.3, 0.0, 0.7]], dtype=torch.float64).clamp(min=1e-12)
    logits = p.log().requires_grad_()
    how = {"bag": torch.tensor([0]), "n_bags": 1, "prior_weight": 0.0}
    rare = prior_entropy(logits, p, priors=torch.tensor([0.01, 0.495, 0.495]).double(), **how)
    common = prior_entropy(logits, p, priors=torch.tensor([0.98, 0.01, 0.01]).double(), **how)
    assert rare > 2 * common


def test_outputs_far_out_and_pure_bags_stay_finite():
    logits = torch.tensor([[900.0, -900.0, 0.0], [-900.0, 900.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    y = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    values = prior_entropy(logits, y, bag=torch.tensor([0, 0, 1]), n_bags=2, priors=torch.tensor([0.5, 0.0, 0.5]))
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


def test_gradient_in_double_precision(bags):
    logits, y, bag, weight = bags(0)

    def value(logits):
        return prior_entropy(logits, y, bag=bag, n_bags=3, priors=PRIORS, sample_weight=weight)

    assert torch.autograd.gradcheck(value, logits.requires_grad_())


def test_learns_rows_by_name():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(300, 2)), np.arange(300) // 6
    y = (X[:, 0] > 0).astype(int)
    for loss in ("prior_entropy", Loss("ent_kl_prop", entropy_weight=0.1)):
        model = LLPClassifier(loss, max_epochs=40, lr=0.02, batch_size=60, random_state=0).fit(X, y, bags=bag)
        assert model.score(X, y) > 0.9


def adapted(seed, shift, loss):
    """Return the score on moved rows before and after adaptation, and the share of the class that is given most."""
    rng = np.random.default_rng(seed)
    y = (np.arange(300) % 3 == 0).astype(int)
    X = rng.normal(size=(300, 2)) + np.where(y, 2.0, -2.0)[:, None] * np.array([1.0, 0.0])
    moved = X + np.array([shift, 0.0])
    how = {"lr": 0.02, "random_state": 0, "hidden_layer_sizes": (), "standardize": False}
    model = LLPClassifier("proportion_ce", max_epochs=30, **how).fit(X, y)  # each row is its own bag
    before = model.score(moved, y)
    model.set_params(warm_start=True, loss=loss, max_epochs=100).fit(moved, y, bags=np.arange(300) // 50)
    return before, model.score(moved, y), np.bincount(model.predict(moved), minlength=2).max() / 300


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_adapts_a_network_to_rows_that_moved(seed):
    before, after, _ = adapted(seed, 2.0, "prior_entropy")
    assert after > before + 0.1


def test_adaptation_without_the_prior_collapses():
    before, after, largest = adapted(0, 3.0, Loss("prior_entropy", prior_weight=0.0))
    assert after < before
    assert largest > 0.97
