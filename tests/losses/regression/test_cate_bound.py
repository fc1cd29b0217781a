import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.cate_bound import cate_bound
from sklearnloss.losses.regression.expectile import expectile

PREDICTION = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("odds", [1.0, 2.0, 7.0])
def test_is_an_expectile(odds):
    lower, upper = (cate_bound(PREDICTION, Y, odds=odds, bound=bound) for bound in ("lower", "upper"))
    assert_close(lower, (1 + odds) * expectile(PREDICTION, Y, level=1 / (1 + odds)))
    assert_close(upper, (1 + odds) * expectile(PREDICTION, Y, level=odds / (1 + odds)))


def test_odds_of_one_are_the_squared_error():
    assert_close(cate_bound(PREDICTION, Y, odds=1.0), (PREDICTION - Y).square())


@pytest.mark.parametrize(("bound", "wanted"), [("lower", -0.436327), ("upper", 0.436327)])
def test_has_no_slope_at_the_worked_number_for_normal_outcomes(bound, wanted):
    y = torch.special.ndtri((torch.arange(20_001, dtype=torch.float64) + 0.5) / 20_001)[:, None]
    point = torch.full((1, 1), wanted, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(cate_bound(point.expand_as(y), y, odds=3.0, bound=bound).mean(), point)
    assert abs(float(slope)) < 1e-3


def test_bounds_hold_the_outcome_that_confounding_hides():
    rng = np.random.default_rng(0)
    hidden = rng.uniform(size=4000) < 0.5
    treated = rng.uniform(size=4000) < np.where(hidden, 0.75, 0.25)  # odds of 3 and 1/3
    y = hidden + 0.1 * rng.normal(size=4000)
    X = rng.normal(size=(4000, 1))
    truth = y[~treated].mean()
    assert y[treated].mean() > truth + 0.3
    ends = []
    for bound in ("lower", "upper"):
        model = LossRegressor(
            Loss("cate_bound", odds=9.0, bound=bound), hidden_layer_sizes=(), lr=0.05, max_epochs=30, random_state=0
        )
        ends.append(model.fit(X[treated], y[treated]).predict(X).mean())
    assert ends[0] - 0.02 < truth < ends[1]
