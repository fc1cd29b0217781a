import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from sklearnloss.functional.gradients import ascend, evaluating, input_gradient, pgd


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 2)).double()


@pytest.fixture
def rows():
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def rng():
    return torch.Generator().manual_seed(2)


def first(output):
    return output[:, 0]


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_ascend_keeps_the_value_and_turns_the_gradient_around():
    t = torch.tensor([0.1, -3.0, 1e30], requires_grad=True)
    assert torch.equal(ascend(t), t)
    ascend(t).square().sum().backward()
    assert_close(t.grad, -2 * t.detach())


def test_evaluating_puts_back_the_mode_of_every_part(network):
    network.train()
    network[1].eval()
    with evaluating(network):
        assert not any(part.training for part in network.modules())
    assert [part.training for part in network] == [True, False, True, True, True]


def test_evaluating_puts_the_mode_back_after_an_error(network):
    with pytest.raises(RuntimeError, match="stop"), evaluating(network):
        raise RuntimeError("stop")
    assert network.training


def test_input_gradient_is_that_of_finite_differences(network, rows):
    got = input_gradient(network, rows, first)
    network.eval()
    step = 1e-6
    for column in range(3):
        moved = torch.zeros(3, dtype=torch.float64)
        moved[column] = step
        with torch.no_grad():
            slope = (first(network(rows + moved)) - first(network(rows - moved))) / (2 * step)
        assert_close(got[:, column], slope, atol=1e-7, rtol=1e-6)


def test_input_gradient_is_in_units_of_the_scale(network, rows):
    scale = torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    assert_close(input_gradient(network, rows, first, x_scale=scale), input_gradient(network, rows, first) * scale)


def test_rows_do_not_see_each_other(network, rows):
    assert_close(input_gradient(network, rows, first)[:1], input_gradient(network, rows[:1], first))


def test_input_gradient_works_without_gradients_and_has_no_graph(network, rows):
    with torch.no_grad():
        silent = input_gradient(network, rows, first)
    assert_close(silent, input_gradient(network, rows, first))
    assert not silent.requires_grad


def test_the_search_leaves_the_network_its_gradients_and_the_global_generator_alone(network, rows):
    first(network(rows)).sum().backward()
    before, gradients = state(network), [p.grad.clone() for p in network.parameters()]
    kept, generator = rows.clone(), torch.get_rng_state()
    pgd(network, rows, first, x_scale=torch.ones(3), eps=0.3, steps=4, rng=rng())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(torch.equal(g, p.grad) for g, p in zip(gradients, network.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.equal(rows, kept)
    assert rows.grad is None
    assert network.training


def test_the_search_stays_in_the_box(network, rows):
    scale = torch.tensor([1.0, 5.0, 0.2], dtype=torch.float64)
    found = pgd(network, rows, first, x_scale=scale, eps=0.3, steps=5, rng=rng())
    assert ((found - rows).abs() <= 0.3 * scale + 1e-12).all()


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_the_search_finds_the_corner_that_is_best_for_a_linear_network(rows, steps):
    layer = nn.Linear(3, 2).double()
    found = pgd(layer, rows, first, x_scale=torch.ones(3), eps=0.25, steps=steps, rng=rng())
    assert_close(found, rows + 0.25 * layer.weight[0].detach().sign())


def test_the_search_raises_the_objective_of_every_row(network, rows):
    found = pgd(network, rows, first, x_scale=torch.ones(3), eps=0.3, steps=10, rng=rng())
    network.eval()
    assert (first(network(found)) > first(network(rows))).all()


def test_the_search_leaves_a_place_without_gradient(network, rows):
    frozen = copy.deepcopy(network).eval()
    here = frozen(rows).detach()
    found = pgd(
        network, rows, lambda out: (out - here).square().sum(1), x_scale=torch.ones(3), eps=0.3, steps=5, rng=rng()
    )
    assert ((frozen(found) - here).square().sum(1) > 1e-4).all()


def test_a_box_without_size_gives_the_rows_back(network, rows):
    assert torch.equal(pgd(network, rows, first, x_scale=torch.ones(3), eps=0.0, steps=3, rng=rng()), rows)


def test_the_search_repeats_itself_for_a_seed(network, rows):
    one, two = (pgd(network, rows, first, x_scale=torch.ones(3), eps=0.3, steps=2, rng=rng()) for _ in range(2))
    assert torch.equal(one, two)
