import numpy as np
import pytest
import torch

from sklearnloss import AggregateRegressor, Loss
from sklearnloss.losses.bag.bag_interp_mse import bag_interp_mse

SCORES = torch.tensor([[0.2], [0.6], [0.9], [0.1]], dtype=torch.float64)
BAG = torch.tensor([0, 0, 1, 1])
MEANS = torch.tensor([[0.5], [0.75]], dtype=torch.float64)


@pytest.fixture
def numbers(bags):
    """Return predictions of two targets, means of bags of 1, 4 and 7 rows, bags and weights."""

    def make(seed):
        logits, y, bag, weight = bags(seed)
        return logits[:, :2].clone(), 3 * y[:, :2], bag, weight

    return make


def naive(f, y, bag, weight, rho):
    """Return the value of each bag, written with loops."""
    values = []
    for b in range(len(y)):
        rows = [i for i in range(len(f)) if bag[i] == b]
        total = sum(weight[i].item() for i in rows)
        value = 0.0
        for j in range(y.shape[1]):
            mean = sum(weight[i].item() * f[i, j].item() for i in rows) / total
            instance = sum(weight[i].item() * (y[b, j].item() - f[i, j].item()) ** 2 for i in rows) / total
            value += (1 - rho) * (y[b, j].item() - mean) ** 2 + rho * instance
        values.append(value / y.shape[1])
    return values


@pytest.mark.parametrize("rho", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_formula_written_with_loops(numbers, weighted, rho):
    f, y, bag, weight = numbers(0)
    weight = weight if weighted else torch.ones_like(weight)
    found = bag_interp_mse(f, y, bag=bag, n_bags=3, sample_weight=weight if weighted else None, rho=rho)
    np.testing.assert_allclose(found, naive(f, y, bag, weight, rho), rtol=1e-12)


def test_worked_numbers():
    def value(rho):
        return bag_interp_mse(SCORES, MEANS, bag=BAG, n_bags=2, rho=rho).mean().item()

    assert value(0.0) == pytest.approx(0.036250)
    assert value(1.0) == pytest.approx(0.136250)
    assert value(0.25) == pytest.approx(0.036250 + 0.25 * 0.100000)


def test_loss_of_rows_is_that_of_bags_and_the_variance_within(numbers):
    for seed in range(3):
        f, y, bag, _ = numbers(seed)
        variance = torch.stack([f[bag == b].var(0, correction=0).mean() for b in range(3)])
        of_bags = torch.stack([(f[bag == b].mean(0) - y[b]).square().mean() for b in range(3)])
        for rho in (0.0, 0.3, 1.0):
            found = bag_interp_mse(f, y, bag=bag, n_bags=3, rho=rho)
            torch.testing.assert_close(found, of_bags + rho * variance)


def test_rho_one_is_the_squared_error_of_rows_against_their_bag(numbers):
    f, y, bag, weight = numbers(1)
    rows = (f - y[bag]).square().mean(1)
    wanted = [(rows * weight)[bag == b].sum() / weight[bag == b].sum() for b in range(3)]
    found = bag_interp_mse(f, y, bag=bag, n_bags=3, sample_weight=weight, rho=1.0)
    torch.testing.assert_close(found, torch.stack(wanted))


def test_bags_of_one_row_have_the_squared_error_whatever_rho(numbers):
    f, _, _, _ = numbers(0)
    wanted = (f - f.flip(0)).square().mean(1)
    for rho in (0.0, 0.25, 1.0):
        torch.testing.assert_close(bag_interp_mse(f, f.flip(0), bag=torch.arange(12), n_bags=12, rho=rho), wanted)


def test_is_least_at_the_closed_form_of_linear_regression():
    rng = np.random.default_rng(0)
    X, bag, rho = rng.normal(size=(24, 3)), np.arange(24) // 4, 0.3
    means = (X @ [1.0, -2.0, 0.5] + rng.normal(size=24)).reshape(6, 4).mean(1)
    centers = X.reshape(6, 4, 3).mean(1)
    within = sum((X[i] - centers[bag[i]])[:, None] * (X[i] - centers[bag[i]]) for i in range(24)) / 4
    theta = np.linalg.solve(centers.T @ centers + rho * within, centers.T @ means)
    w = torch.tensor(theta, requires_grad=True)
    f, y = torch.from_numpy(X) @ w, torch.from_numpy(means)
    value = bag_interp_mse(f[:, None], y[:, None], bag=torch.from_numpy(bag), n_bags=6, rho=rho).sum()
    (gradient,) = torch.autograd.grad(value, w)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)


def test_variance_of_large_predictions_loses_no_digits():
    f = torch.tensor([[4096.0], [4097.0]])
    found = bag_interp_mse(f, torch.tensor([[4096.5]]), bag=torch.tensor([0, 0]), n_bags=1, rho=1.0)
    assert found.item() == pytest.approx(0.25)


def test_gradient_in_double_precision(numbers):
    f, y, bag, weight = numbers(0)

    def value(f):
        return bag_interp_mse(f, y, bag=bag, n_bags=3, sample_weight=weight, rho=0.4)

    assert torch.autograd.gradcheck(value, f.requires_grad_())


def test_a_row_of_weight_zero_is_not_there(numbers):
    f, y, bag, weight = numbers(0)
    weight[bag == 2] = torch.tensor([0.0, 1, 2, 0, 1, 3, 1], dtype=torch.float64)
    kept = weight > 0
    found = bag_interp_mse(f, y, bag=bag, n_bags=3, sample_weight=weight)
    alone = bag_interp_mse(f[kept], y, bag=bag[kept], n_bags=3, sample_weight=weight[kept])
    torch.testing.assert_close(found, alone)


def test_learns_rows_by_name():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(240, 2)), np.arange(240) // 4
    y = X @ np.array([1.0, -0.5])
    means = y.reshape(60, 4).mean(1)[bag]
    for loss in ("bag_interp_mse", Loss("bag_interp_mse", rho=0.0)):
        model = AggregateRegressor(loss, max_epochs=40, lr=0.02, batch_size=60, random_state=0)
        found = model.fit(X, means, bags=bag).predict(X)
        assert np.corrcoef(found, y)[0, 1] > 0.9
