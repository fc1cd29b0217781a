import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.exceptions import MissingFactError
from sklearnloss.losses.regression.cate_bound import bound, cate_bound

TREATED = torch.tensor([1.0, 0, 0, 1, 1, 0, 1])


@pytest.fixture
def columns():
    return torch.randn(7, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("arm", ["treated", "control"])
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_equals_the_formula_in_plain_loops(columns, numbers, arm, side):
    y = numbers[1]
    values = cate_bound(columns, y, treated=TREATED, arm=arm, side=side, odds_ratio=3.0)
    for i in range(7):
        for j in range(2):
            mean, unseen, score = columns[i, j].tolist()
            t = y[i, j].item()
            if (TREATED[i] == 1) == (arm == "treated"):
                above = 0.25 if side == "lower" else 0.75
                wanted = (t - mean) ** 2 / 2 + (above if t > unseen else 1 - above) * (t - unseen) ** 2
                wanted += math.log1p(math.exp(-score))
            else:
                wanted = math.log1p(math.exp(score))
            assert values[i, j].item() == pytest.approx(wanted)


def slope(theta, y, **params):
    columns = torch.zeros(len(y), 1, 3, dtype=torch.float64)
    columns[..., 1] = theta
    columns.requires_grad_()
    cate_bound(columns, y, treated=torch.ones(len(y)), **params).mean().backward()
    return columns.grad[..., 1].sum().item()


def test_bounds_of_a_normal_outcome_are_known():
    y = torch.from_numpy(stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000))[:, None]
    assert slope(-0.436327, y, odds_ratio=3.0) == pytest.approx(0, abs=1e-5)
    assert slope(0.436327, y, odds_ratio=3.0, side="upper") == pytest.approx(0, abs=1e-5)
    assert slope(-0.436327, y, odds_ratio=4.0) > 1e-2  # a larger ratio asks for a lower bound
    assert slope(0.0, y, odds_ratio=1.0) == pytest.approx(0, abs=1e-5)


def test_the_prediction_mixes_mean_and_bound_by_the_chance_of_the_arm():
    columns = torch.tensor([[[2.0, -1.0, math.log(3)]], [[2.0, -1.0, 200.0]], [[2.0, -1.0, -200.0]]])
    assert_close(bound(columns), torch.tensor([[0.75 * 2 - 0.25], [2.0], [-1.0]]))


def test_outcomes_of_the_other_arm_are_not_looked_at(columns, numbers):
    y = numbers[1]
    wild = torch.where(TREATED[:, None] == 1, y, math.inf)
    assert_close(cate_bound(columns, wild, treated=TREATED), cate_bound(columns, y, treated=TREATED))


def test_has_the_gradient_of_its_value(columns, numbers):
    assert torch.autograd.gradcheck(lambda c: cate_bound(c, numbers[1], treated=TREATED), columns.requires_grad_())


def test_treatment_must_be_given_to_fit():
    with pytest.raises(MissingFactError, match="needs 'treated', an array with one row per sample"):
        LossRegressor("cate_bound").fit(np.eye(4), np.arange(4.0))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bounds_hold_the_effect_that_a_hidden_cause_distorts(seed):
    rng = np.random.default_rng(seed)
    n, ratio = 3000, 4.0
    X, hidden = rng.uniform(-1, 1, size=(n, 1)), rng.integers(2, size=n)
    chance = np.where(hidden == 1, 1.5, 1 / 1.5)  # the odds differ by the factor 2.25
    treated = (rng.uniform(size=n) < chance / (1 + chance)).astype(int)
    y = X[:, 0] + treated + 2 * hidden + 0.3 * rng.normal(size=n)  # the effect is 1 everywhere

    def predicted(arm, side, odds_ratio):
        loss = Loss("cate_bound", arm=arm, side=side, odds_ratio=odds_ratio)
        model = LossRegressor(loss, hidden_layer_sizes=(), lr=0.02, max_epochs=15, random_state=seed)
        return model.fit(X, y, treated=treated).predict(X)

    naive = predicted("treated", "lower", 1.0) - predicted("control", "upper", 1.0)
    lower = predicted("treated", "lower", ratio) - predicted("control", "upper", ratio)
    upper = predicted("treated", "upper", ratio) - predicted("control", "lower", ratio)
    assert naive.min() > 1.2
    assert lower.max() < 1 < upper.min()
