import itertools

import pytest
import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.comp_sum import comp_sum
from sklearnloss.losses.multiclass.smooth_adv_comp_sum import smooth_adv_comp_sum


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    return X, torch.arange(6) % 3, torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)


@pytest.fixture
def layer():
    torch.manual_seed(1)
    return nn.Linear(4, 3).double()


def value(module, problem, **params):
    X, y, x_scale = problem
    rng = torch.Generator().manual_seed(2)
    return smooth_adv_comp_sum(module(X), y, X=X, module=module, x_scale=x_scale, rng=rng, **params)


def noisy_network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)).double()


@pytest.mark.parametrize("off", [{"nu": 0.0}, {"eps": 0.0}])
@pytest.mark.parametrize("tau", [0.0, 1.0, 1.7])
def test_is_the_comp_sum_loss_without_its_second_term(problem, layer, off, tau):
    X, y, _ = problem
    assert_close(value(layer, problem, tau=tau, **off), comp_sum(layer(X), y, tau=tau))


def test_without_size_of_the_box_the_gradient_is_that_of_comp_sum_too(problem, layer):
    X, y, _ = problem
    wanted = torch.autograd.grad(comp_sum(layer(X), y).sum(), layer.weight)[0]
    assert_close(torch.autograd.grad(value(layer, problem, eps=0.0).sum(), layer.weight)[0], wanted)


def test_rho_divides_the_margins_of_the_first_term(problem, layer):
    X, y, _ = problem
    wanted = F.cross_entropy(layer(X) / 4, y, reduction="none")
    assert_close(value(layer, problem, rho=4.0, nu=0.0), wanted)


def test_finds_the_farthest_corner_of_the_box_of_a_linear_network(problem, layer):
    X, y, x_scale = problem
    plain = comp_sum(layer(X), y)
    corners = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4)), dtype=torch.float64)
    shifts = 0.3 * corners * x_scale @ layer.weight.detach().T  # (16, 3), the same from every place
    for row, label in enumerate(y.tolist()):
        lengths = (shifts[:, [label]] - shifts).norm(dim=1)
        found = (value(layer, problem, eps=0.3) - plain)[row].item()
        # signed steps end in a corner, and the best one is found unless the start lies in another's valley
        assert found <= lengths.max().item() + 1e-9
        assert found >= 0.75 * lengths.max().item()


def test_grows_in_proportion_to_nu_and_with_the_box(problem, layer):
    X, y, _ = problem
    plain = comp_sum(layer(X), y)
    one = value(layer, problem, nu=1.0) - plain
    assert_close(value(layer, problem, nu=3.0) - plain, 3 * one)
    assert (value(layer, problem, eps=0.2) > plain + one).all()


@pytest.mark.parametrize("training", [True, False])
def test_leaves_state_modes_gradients_and_the_global_generator_of_a_noisy_network(problem, training):
    X, y, x_scale = problem
    network = noisy_network().train(training)
    logits = network(X)
    before = {name: t.clone() for name, t in network.state_dict().items()}
    generator = torch.get_rng_state()
    rng = torch.Generator().manual_seed(2)
    smooth_adv_comp_sum(logits, y, X=X, module=network, x_scale=x_scale, rng=rng)
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(part.training == training for part in network.modules())
    assert all(p.grad is None for p in network.parameters())


def test_the_second_term_of_a_noisy_network_does_not_see_its_noise(problem):
    X, y, x_scale = problem
    network = noisy_network().train()
    logits = network(X)
    rng = torch.Generator().manual_seed(2)
    got = smooth_adv_comp_sum(logits, y, X=X, module=network, x_scale=x_scale, rng=rng, eps=0.0)
    assert_close(got, comp_sum(logits, y))


def test_the_second_term_teaches_the_network_to_be_flat(problem, layer):
    def apart():  # what the classes have in common is free
        return (layer.weight.detach() - layer.weight.detach().mean(0)).norm().item()

    before = apart()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        (value(layer, problem, eps=0.3) - comp_sum(layer(problem[0]), problem[1])).sum().backward()
        optimizer.step()
    assert apart() < 0.2 * before


def test_gives_the_same_under_no_grad(problem, layer):
    with torch.no_grad():
        silent = value(layer, problem)
    assert_close(silent, value(layer, problem).detach())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_a_network_that_small_changes_move_less(seed):
    X, y = load_iris(return_X_y=True)

    def second_term(nu):
        loss = Loss("smooth_adv_comp_sum", nu=nu, eps=0.2, steps=3)
        model = LossClassifier(loss, max_epochs=30, lr=1e-2, random_state=seed).fit(X, y)
        assert model.score(X, y) > 0.9
        rows, scale = torch.as_tensor(X), torch.as_tensor(X.std(0))
        network, labels = model.net_.module_, torch.as_tensor(y)
        facts = {"X": rows, "module": network, "x_scale": scale, "rng": torch.Generator().manual_seed(0)}
        with torch.no_grad():
            both = smooth_adv_comp_sum(network(rows), labels, eps=0.2, **facts)
            return (both - comp_sum(network(rows), labels)).mean().item()

    assert second_term(1.0) < second_term(0.0)
