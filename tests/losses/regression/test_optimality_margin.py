import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch.testing import assert_close

from sklearnloss import LossRegressor
from sklearnloss.exceptions import FactError
from sklearnloss.losses.regression.optimality_margin import optimality_margin

GENERATOR = torch.Generator().manual_seed(0)
COSTS = torch.randn(5, 6, generator=GENERATOR, dtype=torch.float64)
A = torch.randn(5, 2, 6, generator=GENERATOR, dtype=torch.float64)
BASIS = torch.tensor([[1.0, 0, 0, 1, 0, 0]] * 3 + [[0, 0, 1.0, 0, 0, 1]] * 2, dtype=torch.float64)


def test_equals_the_formula_in_plain_loops():
    wanted = []
    for c, chosen, a in zip(COSTS.numpy(), BASIS.numpy() > 0, A.numpy(), strict=True):
        prices = np.linalg.inv(a[:, chosen].T) @ c[chosen]
        reduced = c[~chosen] - a[:, ~chosen].T @ prices
        wanted.append(np.maximum(0, 1 - reduced).sum())
    assert_close(optimality_margin(COSTS, BASIS, equations=A), torch.tensor(wanted, dtype=torch.float64))


def test_on_the_simplex_it_is_the_hinge_of_weston_and_watkins():
    chosen = torch.tensor([0, 3, 5, 1, 2])
    y = torch.nn.functional.one_hot(chosen, 6).double()
    values = optimality_margin(COSTS, y, equations=torch.ones(5, 1, 6))
    for i, j in enumerate(chosen.tolist()):
        hinge = sum(max(0.0, 1 - float(COSTS[i, k] - COSTS[i, j])) for k in range(6) if k != j)
        assert float(values[i]) == pytest.approx(hinge)


def test_no_costs_cost_one_for_each_variable_outside_the_basis_and_large_right_ones_nothing():
    assert_close(optimality_margin(0 * COSTS, BASIS, equations=A), torch.full((5,), 4.0, dtype=torch.float64))
    y = torch.nn.functional.one_hot(COSTS.argmin(1), 6).double()
    assert (optimality_margin(1e6 * COSTS, y, equations=torch.ones(5, 1, 6)) == 0).all()


@pytest.mark.parametrize("short", [0.0, 3.0])
def test_costs_that_cost_nothing_have_the_basis_for_an_optimum(short):
    a, b = A[0], A[0][:, [0, 3]].sum(1)  # both basic variables are one
    prices = torch.linalg.solve(a[:, [0, 3]].T, COSTS[0, [0, 3]])
    c = a.T @ prices + 1 + 1e-9 - short * torch.tensor([0, 1.0, 0, 0, 0, 0])
    c[[0, 3]] = COSTS[0, [0, 3]]
    value = float(optimality_margin(c[None], BASIS[:1], equations=A[:1]))
    program = linprog(c.numpy(), A_eq=a.numpy(), b_eq=b.numpy())
    basis_is_best = program.success and program.fun == pytest.approx(float(c[0] + c[3]))
    assert (value == 0, basis_is_best) == ((True, True) if short == 0 else (False, False))


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda c: optimality_margin(c, BASIS, equations=A), COSTS.clone().requires_grad_())


@pytest.mark.parametrize("shape", [(5, 6), (5, 2, 4)])
def test_equations_of_another_shape_are_refused(shape):
    with pytest.raises(FactError, match=r"equations must have the shape \(n, m, 6\)"):
        optimality_margin(COSTS, BASIS, equations=torch.ones(shape))


def test_variables_that_are_no_basis_are_refused():
    equations = A.clone()
    equations[2, :, 3] = 2 * equations[2, :, 0]
    with pytest.raises(FactError, match="the variables of a basis must be independent in equations"):
        optimality_margin(COSTS, BASIS, equations=equations)


def test_choices_teach_costs():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    costs = X @ rng.normal(size=(3, 4))
    y = np.eye(4)[costs.argmin(1)]
    model = LossRegressor("optimality_margin", lr=0.02, max_epochs=30, random_state=0)
    model.fit(X, y, equations=np.ones((300, 1, 4)))
    assert (model.predict(X).argmin(1) == costs.argmin(1)).mean() > 0.9
