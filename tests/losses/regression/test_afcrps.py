import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.afcrps import afcrps, at_levels

COLUMNS = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def naive(x, y, alpha):
    m = len(x)
    epsilon = (1 - alpha) / m
    total = sum(
        abs(x[j] - y) + abs(x[k] - y) - (1 - epsilon) * abs(x[j] - x[k]) for j in range(m) for k in range(m) if j != k
    )
    return total / (2 * m * (m - 1))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.95, 1.0])
def test_equals_the_formula_of_positive_terms_in_plain_loops(alpha):
    wanted = [[naive(COLUMNS[i, j].tolist(), float(Y[i, j]), alpha) for j in range(2)] for i in range(6)]
    assert_close(afcrps(COLUMNS, Y, alpha=alpha), torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize(("alpha", "wanted"), [(0.0, 1 / 3), (0.95, 0.0166667), (1.0, 0.0)])
def test_gives_the_worked_numbers(alpha, wanted):
    value = afcrps(torch.tensor([[[3.0, 0.0, 1.0]]], dtype=torch.float64), torch.ones(1, 1), alpha=alpha)
    assert float(value) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("z", "wanted"), [(10.0, 0.05), (100.0, 0.55)])
def test_a_member_that_the_fair_score_leaves_free_costs_in_the_almost_fair_one(z, wanted):
    members, y = torch.tensor([[[1.0, 1.0, z]]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    assert float(afcrps(members, y, alpha=1.0)) == pytest.approx(0, abs=1e-9)
    assert float(afcrps(members, y)) == pytest.approx(wanted)


def test_the_mean_of_the_fair_score_does_not_depend_on_the_number_of_members():
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(40_000, 1, generator=generator)
    few, many = (float(afcrps(torch.randn(40_000, 1, m, generator=generator), y, alpha=1.0).mean()) for m in (2, 20))
    assert few == pytest.approx(many, abs=0.02)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.95])
def test_members_that_know_nothing_of_the_row_come_to_the_quantiles_of_the_link(alpha):
    y = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(4000, dtype=torch.float64) + 0.5) / 4000)[:, None]
    members = torch.linspace(-1, 1, 5, dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.LBFGS([members], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = afcrps(members.expand(4000, 1, 5), y, alpha=alpha).mean()
        value.backward()
        return value

    optimizer.step(closure)
    found = at_levels(members.detach()[None, None], alpha=alpha)
    reached = (y <= members.detach().sort().values).double().mean(0)
    assert_close(torch.from_numpy(found.levels), reached, atol=0.01, rtol=0)


def test_the_levels_are_the_middles_of_equal_parts_or_reach_from_end_to_end():
    columns = torch.arange(4.0)[None, None]
    assert at_levels(columns, alpha=0.0).levels.tolist() == [0.125, 0.375, 0.625, 0.875]
    assert at_levels(columns, alpha=1.0).levels[[0, 3]] == pytest.approx([0, 1], abs=1e-5)


def test_the_order_of_members_does_not_matter():
    assert_close(afcrps(COLUMNS.flip(-1), Y), afcrps(COLUMNS, Y))


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda c: afcrps(c, Y), COLUMNS.clone().requires_grad_())
