import pytest
import torch
from sklearn.datasets import load_iris
from torch.testing import assert_close

from sklearnloss import LossClassifier, Optimizer
from sklearnloss.exceptions import ParameterError
from sklearnloss.optimizers.adam import Adam
from sklearnloss.optimizers.adamw import AdamW
from sklearnloss.optimizers.sgd import SGD

PAIRS = [
    (Adam, {}, torch.optim.Adam, {}),
    (Adam, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3}, torch.optim.Adam, {"betas": (0.5, 0.9), "eps": 1e-3}),
    (Adam, {"amsgrad": True}, torch.optim.Adam, {"amsgrad": True}),
    (AdamW, {}, torch.optim.AdamW, {}),
    (AdamW, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3}, torch.optim.AdamW, {"betas": (0.5, 0.9), "eps": 1e-3}),
    (AdamW, {"amsgrad": True}, torch.optim.AdamW, {"amsgrad": True}),
    (SGD, {}, torch.optim.SGD, {"momentum": 0.9}),
    (SGD, {"momentum": 0.0}, torch.optim.SGD, {}),
    (SGD, {"momentum": 0.5, "nesterov": True}, torch.optim.SGD, {"momentum": 0.5, "nesterov": True}),
    (SGD, {"momentum": 0.0, "nesterov": True}, torch.optim.SGD, {}),
]


def groups(parameters):
    """Make two groups with their own rate and decay, as a net makes them."""
    return [
        {"params": parameters[:1], "lr": 0.1, "weight_decay": 0.01},
        {"params": parameters[1:], "lr": 0.03, "weight_decay": 0.0},
    ]


def path(make, steps=6):
    """Return the parameters after each step on a curved function."""
    parameters = [
        torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
        for start in ([[1.0, -2.0], [0.5, 3.0]], [0.7, -0.1])
    ]
    optimizer, seen = make(groups(parameters)), []
    for _ in range(steps):
        optimizer.zero_grad()
        weight, bias = parameters
        ((weight @ bias).square().sum() + weight.exp().sum() + bias.cosh().sum()).backward()
        optimizer.step()
        seen.append(torch.cat([p.detach().flatten() for p in parameters]))
    return torch.stack(seen)


@pytest.mark.parametrize(("ours", "params", "peer", "peer_params"), PAIRS)
def test_takes_the_steps_of_torch(ours, params, peer, peer_params):
    wanted = path(lambda given: peer(given, **peer_params, foreach=False, fused=False))
    assert_close(path(lambda given: ours(given, **params)), wanted)


@pytest.mark.parametrize("cls", [Adam, AdamW, SGD])
def test_is_fused(cls):
    optimizer = cls(groups([torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))]))
    assert all(group["fused"] for group in optimizer.param_groups)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("parameter", ["lr", "weight_decay"])
def test_rate_and_decay_belong_to_the_estimator(name, parameter):
    with pytest.raises(
        ParameterError, match=f"no parameter '{parameter}'.*{parameter} is a parameter of the estimator"
    ):
        Optimizer(name, **{parameter: 1}).choose()


def test_the_estimator_refuses_the_rate_in_the_optimizer():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ParameterError, match="lr is a parameter of the estimator"):
        LossClassifier(optimizer=Optimizer("adam", lr=1), max_epochs=1).fit(X, y)


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("adam", {"beta1": 1.0}, r"\[0, 1\)"),
        ("adamw", {"eps": 0.0}, r"\(0, inf\)"),
        ("sgd", {"momentum": -0.1}, r"\[0, 1\)"),
    ],
)
def test_values_out_of_range_are_refused(name, params, words):
    with pytest.raises(ParameterError, match=f"optimizer '{name}': {next(iter(params))} must be a float in {words}"):
        Optimizer(name, **params).choose()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", Optimizer("sgd", nesterov=True)])
def test_trains_by_name(optimizer):
    X, y = load_iris(return_X_y=True)
    model = LossClassifier(optimizer=optimizer, lr=0.01, max_epochs=30, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.9
