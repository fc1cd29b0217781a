import numpy as np
import pytest
import torch
from torch import nn

from sklearnloss import Loss, LossRegressor
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.regression.monotone_penalty import monotone_penalty

X = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ONE = torch.ones(2, dtype=torch.float64)


class Of(nn.Module):
    """A network that is a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, X):
        return self.function(X)


def penalty(function, **params):
    rng = torch.Generator().manual_seed(0)
    return float(monotone_penalty(X=X, module=Of(function), x_scale=ONE, rng=rng, **params).detach())


def test_rising_costs_nothing_and_falling_its_slope_squared():
    assert penalty(lambda X: X[:, :1], increasing=(0,)) == 0
    assert penalty(lambda X: -2 * X[:, :1], increasing=(0,)) == pytest.approx(4)
    assert penalty(lambda X: X[:, 0] - 3 * X[:, 1], increasing=(0, 1)) == pytest.approx(9)
    assert penalty(lambda X: X[:, 0] - 3 * X[:, 1], increasing=(0,), decreasing=(1,)) == 0
    assert penalty(lambda X: X[:, 0] - 3 * X[:, 1], increasing=(), decreasing=(0,)) == pytest.approx(1)


def test_slopes_are_per_standard_deviation_and_outputs_are_averaged():
    falling = Of(lambda X: torch.stack([-X[:, 0], X[:, 0]], 1))
    rng = torch.Generator().manual_seed(0)
    value = monotone_penalty(X=X, module=falling, x_scale=torch.tensor([3.0, 1.0]), rng=rng)
    assert float(value.detach()) == pytest.approx(9 / 2)


def test_points_of_the_box_see_what_the_rows_do_not():
    rows = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    valley = Of(lambda X: (X[:, 0].abs() > 0.9) * X[:, 0] - (X[:, 0].abs() <= 0.9) * X[:, 0])
    values = [
        monotone_penalty(
            X=rows, module=valley, x_scale=torch.ones(2), rng=torch.Generator().manual_seed(0), box=box
        ).item()
        for box in (False, True)
    ]
    assert values[0] == 0
    assert values[1] > 0


@pytest.mark.parametrize("params", [{"increasing": ()}, {"increasing": (2,)}])
def test_no_column_and_a_column_that_is_not_there_are_refused(params):
    with pytest.raises(ParameterError, match="must name columns of X, which has 2"):
        penalty(lambda X: X[:, :1], **params)


def test_a_prediction_that_falls_in_places_learns_to_rise():
    rng = np.random.default_rng(0)
    rows = rng.uniform(-2, 2, size=(200, 2))
    y = np.sin(2 * rows[:, 0]) + rows[:, 1]
    grid = np.stack([np.linspace(-2, 2, 50), np.zeros(50)], axis=1)
    falls = {}
    for loss in ("mse", Loss("mse") + 10 * Loss("monotone_penalty", increasing=(0,))):
        model = LossRegressor(loss, activation="tanh", lr=0.02, max_epochs=60, random_state=0).fit(rows, y)
        falls[str(loss)] = -np.minimum(np.diff(model.predict(grid)), 0).sum()
    assert falls.pop("mse") > 10 * min(falls.values())
