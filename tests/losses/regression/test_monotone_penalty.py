import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.regression.monotone_penalty import monotone_penalty
from sklearnloss.spec import choose

X = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Formula(nn.Module):
    """A function of the columns of X."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, X):
        return self.function(X)


def penalty(function, X=X, **params):
    rng = torch.Generator().manual_seed(1)
    return monotone_penalty(X=X, module=Formula(function), rng=rng, **params).item()


def test_a_slope_of_the_right_sign_costs_nothing_and_one_of_the_wrong_sign_its_square():
    for sign, right, wrong in ((1, "increasing", "decreasing"), (-1, "decreasing", "increasing")):
        assert penalty(lambda x, sign=sign: 3 * sign * x[:, :1], **{right: (0,)}) == 0
        assert penalty(lambda x, sign=sign: 3 * sign * x[:, :1], **{wrong: (0,)}) == pytest.approx(9)


@pytest.mark.parametrize("dominance", ["weak", "strong"])
def test_the_larger_weight_must_be_that_of_the_first_of_a_pair(dominance):
    params = {"dominates": ((0, 1),), "dominance": dominance}
    assert penalty(lambda x: 2 * x[:, :1] + x[:, 1:], **params) == 0
    assert penalty(lambda x: x[:, :1] + 2 * x[:, 1:], **params) == pytest.approx(1)


def test_a_pair_may_hold_where_both_columns_are_equal_and_fail_elsewhere():
    def function(x):  # slopes t and -t on the diagonal, 1 and 3 at (5, 1)
        return ((x[:, 0] - x[:, 1]) * x[:, 1])[:, None]

    at = torch.tensor([[0.0, 0.0], [5.0, 1.0], [5.0, 5.0]], dtype=torch.float64)
    weak, strong = (penalty(function, at, dominates=((0, 1),), dominance=d, n_random=0) for d in ("weak", "strong"))
    assert weak == 0
    assert strong == pytest.approx((3 - 1) ** 2 / 3)


def test_equals_the_mean_over_rows_and_outputs_in_plain_loops():
    def function(x):
        return torch.stack([torch.sin(5 * x[:, 0]), -x[:, 0].square()], dim=1)

    wrong = [[max(0.0, -5 * np.cos(5 * a)), max(0.0, 2 * a)] for a in X[:, 0].tolist()]
    assert penalty(function, increasing=(0,), n_random=0) == pytest.approx(np.square(wrong).mean())


def test_slopes_are_in_units_of_the_columns():
    scale = torch.tensor([10.0, 1.0], dtype=torch.float64)
    assert penalty(lambda x: -x[:, :1], increasing=(0,), x_scale=scale) == pytest.approx(100)


def test_random_points_lie_in_the_box_of_the_batch():
    seen = []

    def function(x):
        seen.append(x.detach())
        return x[:, :1]

    penalty(function, increasing=(0,), n_random=1000)
    (points,) = seen
    assert len(points) == 1020
    assert (points >= X.amin(0)).all()
    assert (points <= X.amax(0)).all()
    assert_close(points[20:].std(0), (X.amax(0) - X.amin(0)) / 12**0.5, rtol=0.1, atol=0)


def test_the_gradient_of_the_weights_is_that_of_the_value():
    def value(weight):
        network = Formula(lambda x: torch.tanh(x @ weight).sum(1, keepdim=True))
        return monotone_penalty(X=X, module=network, rng=torch.Generator().manual_seed(1), increasing=(0,), n_random=3)

    weight = -torch.rand(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert value(weight) > 0
    assert torch.autograd.gradcheck(value, weight.requires_grad_())


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Dropout(0.9), nn.Linear(3, 1)).double()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rows = X.clone()
    values = [
        monotone_penalty(X=rows, module=network, rng=torch.Generator().manual_seed(1), decreasing=(1,))
        for _ in range(2)
    ]
    assert values[0] == values[1]
    assert network.training
    assert not rows.requires_grad
    for name, value in network.state_dict().items():
        assert_close(value, before[name])


@pytest.mark.parametrize(
    ("params", "message"),
    [({}, "no column is named"), ({"increasing": (2,)}, r"X has the columns 0..1, but 2 is named")],
)
def test_columns_must_be_named_and_be_there(params, message):
    with pytest.raises(ParameterError, match=message):
        penalty(lambda x: x[:, :1], **params)


@pytest.mark.parametrize("value", [(-1,), (0.5,), "a", 1])
def test_columns_are_numbers(value):
    with pytest.raises(ParameterError, match="increasing must be a list of numbers from 0"):
        choose("loss", Loss("monotone_penalty", increasing=value))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_network_that_would_fall_rises_with_the_penalty(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(200, 2))
    y = X[:, 0] - 2 * np.exp(-8 * X[:, 0] ** 2) + X[:, 1] ** 2 + 0.1 * rng.normal(size=200)
    line = np.column_stack([np.linspace(-0.9, 0.9, 200), np.zeros(200)])
    falls = []
    for loss in (Loss("mse"), Loss("mse") + 30 * Loss("monotone_penalty", increasing=(0,), n_random=64)):
        model = LossRegressor(
            loss, hidden_layer_sizes=(32,), activation="tanh", lr=0.02, max_epochs=150, random_state=seed
        ).fit(X, y)
        falls.append(np.maximum(-np.diff(model.predict(line)), 0).sum())
    assert falls[0] > 0.5
    assert falls[1] < falls[0] / 3
