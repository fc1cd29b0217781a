import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, Optimizer, load
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.binary.aucm import AUCMargin
from sklearnloss.optimizers.pesg import PESG

START = np.array([1.0, -2.0, 0.5])


def parameter(values=START):
    return torch.nn.Parameter(torch.tensor(np.array(values), dtype=torch.float64))


def gradients(steps, seed=0):
    """Return gradients of which some entries are above one."""
    return np.random.default_rng(seed).normal(scale=1.5, size=(steps, 3))


def groups(network, learned=None, lr=0.1, weight_decay=0.01):
    first = {"params": [network], "lr": lr, "weight_decay": weight_decay}
    return [first] if learned is None else [first, {"params": [learned], "lr": 0.3, "weight_decay": 0.0}]


def walk(optimizer, weights, slopes, rates=None):
    """Take a step for each row of slopes; return where the weights were after each."""
    seen = []
    for number, slope in enumerate(slopes):
        for weight in weights:
            weight.grad = torch.tensor(slope, dtype=torch.float64)
        if rates is not None:
            optimizer.param_groups[0]["lr"] = rates[number]
        optimizer.step()
        seen.append([weight.detach().numpy().copy() for weight in weights])
    return np.array(seen)


def in_loops(slopes, rates, *, epoch_decay, clip=1.0, momentum=0.0, weight_decay=0.01):
    """Take the steps of the formula; a stage ends where the rate falls."""
    weight, reference, velocity, visited, seen = START.copy(), START.copy(), 0.0, [], []
    before = rates[0]
    for slope, rate in zip(slopes, rates, strict=True):
        if rate < before:
            reference, visited = np.mean(visited, axis=0), []
        before = rate
        step = np.clip(slope, -clip, clip) + weight_decay * weight + epoch_decay * (weight - reference)
        velocity = momentum * velocity + step
        weight = weight - rate * velocity
        visited.append(weight)
        seen.append(weight)
    return np.array(seen)


@pytest.mark.parametrize("params", [{}, {"momentum": 0.5}, {"clip": 0.3}, {"epoch_decay": 0.8}])
def test_takes_the_steps_of_the_formula(params):
    slopes, rates = gradients(12), [0.1] * 5 + [0.05] * 4 + [0.01] * 3
    weight, params = parameter(), {"epoch_decay": 0.5} | params
    found = walk(PESG(groups(weight), **params), [weight], slopes, rates)[:, 0]
    np.testing.assert_allclose(found, in_loops(slopes, rates, **params), rtol=1e-12)


def test_the_first_reference_is_where_the_weights_begin():
    weight = parameter()
    optimizer = PESG(groups(weight, weight_decay=0.0), epoch_decay=0.5)
    walk(optimizer, [weight], np.zeros((3, 3)))  # a random reference near zero would draw them there
    np.testing.assert_array_equal(weight.detach(), START)


def test_a_rate_that_rises_begins_no_stage_and_one_that_falls_does():
    slopes = gradients(6)
    risen, steady = parameter(), parameter()
    optimizers = [PESG(groups(w), epoch_decay=0.5) for w in (risen, steady)]
    walk(optimizers[0], [risen], slopes[:3], [0.1, 0.2, 0.2])
    assert_close(optimizers[0].state[risen]["reference"], parameter().detach())
    visited = walk(optimizers[1], [steady], slopes, [0.1] * 4 + [0.05] * 2)[:, 0]
    assert_close(optimizers[1].state[steady]["reference"], torch.from_numpy(visited[:4].mean(axis=0)))
    assert_close(optimizers[1].state[steady]["average"], torch.from_numpy(visited[4:].mean(axis=0)))


def test_a_stage_can_be_begun_by_hand():
    slopes, weight = gradients(6), parameter()
    optimizer = PESG(groups(weight), epoch_decay=0.5)
    optimizer.restart()  # nothing was visited yet
    visited = walk(optimizer, [weight], slopes[:4])[:, 0]
    optimizer.restart()
    assert_close(optimizer.state[weight]["reference"], torch.from_numpy(visited.mean(axis=0)))
    assert optimizer.state[weight]["visited"] == 0
    optimizer.restart()  # again: the stage is empty, the reference stays
    assert_close(optimizer.state[weight]["reference"], torch.from_numpy(visited.mean(axis=0)))


@pytest.mark.parametrize("mode", ["sgd", "adam"])
def test_what_the_loss_learns_takes_plain_clipped_steps(mode):
    slopes, network, learned, alone = gradients(8), parameter(), parameter(), parameter()
    walk(PESG(groups(network, learned), mode=mode, epoch_decay=0.9, momentum=0.9), [network, learned], slopes)
    peer = torch.optim.SGD([alone], lr=0.3) if mode == "sgd" else torch.optim.Adam([alone], lr=0.3)
    walk(peer, [alone], slopes.clip(-1, 1))
    assert_close(learned, alone)


@pytest.mark.parametrize("mode", ["sgd", "adam"])
def test_without_pull_it_takes_the_steps_of_torch_with_clipped_gradients(mode):
    slopes, ours, theirs = gradients(10), parameter(), parameter()
    optimizer = PESG(groups(ours), mode=mode, epoch_decay=0.0, clip=0.7, momentum=0.4, beta1=0.8, beta2=0.9, eps=1e-3)
    peer = (
        torch.optim.SGD([theirs], lr=0.1, momentum=0.4, weight_decay=0.01)
        if mode == "sgd"
        else torch.optim.Adam([theirs], lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.01)
    )
    walk(optimizer, [ours], slopes)
    walk(peer, [theirs], slopes.clip(-0.7, 0.7))
    assert_close(ours, theirs)
    assert "reference" not in optimizer.state[ours]


def test_the_pull_holds_the_weights_near_their_reference():
    far = [
        np.abs(walk(PESG(groups(weight), epoch_decay=pull), [weight], np.ones((200, 3)))[-1, 0] - START).max()
        for pull in (0.1, 1.0, 10.0)
        for weight in [parameter()]
    ]
    assert far[0] > far[1] > far[2]
    assert far[2] == pytest.approx(0.1, abs=0.01)  # where pull and gradient are equal


def test_a_weight_without_gradient_stays():
    weight, still = parameter(), parameter()
    optimizer = PESG([{"params": [weight, still], "lr": 0.1, "weight_decay": 0.1}])
    walk(optimizer, [weight], gradients(3))
    np.testing.assert_array_equal(still.detach(), START)


def test_calls_its_closure_once_and_returns_the_loss():
    weight, calls = parameter(), []
    optimizer = PESG(groups(weight))

    def closure():
        calls.append(1)
        optimizer.zero_grad()
        value = weight.square().sum()
        value.backward()
        return value

    assert optimizer.step(closure).item() == pytest.approx((START**2).sum())
    assert len(calls) == 1


@pytest.mark.parametrize("mode", ["sgd", "adam"])
def test_goes_on_from_its_state(mode):
    slopes, rates = gradients(12), [0.1] * 6 + [0.05] * 6
    params = {"mode": mode, "epoch_decay": 0.5, "momentum": 0.5}
    weight = parameter()
    whole = walk(PESG(groups(weight), **params), [weight], slopes, rates)
    first = parameter()
    optimizer = PESG(groups(first), **params)
    walk(optimizer, [first], slopes[:4], rates[:4])
    second = parameter(first.detach().numpy())
    resumed = PESG(groups(second), **params)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    np.testing.assert_allclose(walk(resumed, [second], slopes[4:], rates[4:]), whole[4:], rtol=1e-12)


def test_finds_the_saddle_of_the_margin_loss():
    generator = torch.Generator().manual_seed(0)
    y = (torch.arange(60) < 12).double()
    X = torch.randn(60, 2, generator=generator, dtype=torch.float64) + 2 * y[:, None]
    model, network = AUCMargin(mode="min_max").double(), torch.nn.Linear(2, 1, dtype=torch.float64)
    first = {"params": [*network.parameters()], "lr": 0.5, "weight_decay": 0.0}
    optimizer = PESG([first, {"params": [*model.parameters()], "lr": 0.1, "weight_decay": 0.0}])
    for _ in range(400):
        optimizer.zero_grad()
        model(network(X).squeeze(1), y).backward()
        optimizer.step()
    with torch.no_grad():
        h = torch.sigmoid(network(X).squeeze(1))
        a, b = h[y == 1].mean(), h[y == 0].mean()
    assert roc_auc_score(y.numpy(), h.numpy()) > 0.85
    found = torch.stack([model.a, model.b, model.alpha]).detach()
    assert_close(found, torch.stack([a, b, 1 + b - a]), rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("params", "words"),
    [({"epoch_decay": -1.0}, r"\[0, inf\)"), ({"clip": 0.0}, r"\(0, inf\)"), ({"momentum": 1.0}, r"\[0, 1\)")],
)
def test_values_out_of_range_are_refused(params, words):
    with pytest.raises(ParameterError, match=f"optimizer 'pesg': {next(iter(params))} must be a float in {words}"):
        Optimizer("pesg", **params).choose()


@pytest.mark.parametrize("mode", ["sgd", "adam"])
@pytest.mark.parametrize("loss", [Loss("aucm", mode="min_max"), "aucm", "bce"])
def test_trains_by_name(mode, loss):
    X, y = make_classification(600, weights=[0.9], class_sep=1.5, random_state=0)
    model = LossClassifier(
        loss=loss,
        optimizer=Optimizer("pesg", mode=mode),
        lr=0.1 if mode == "sgd" else 0.01,
        weight_decay=1e-5,
        lr_schedule="step",
        max_epochs=16,
        random_state=0,
    ).fit(X, y)
    assert roc_auc_score(y, model.decision_function(X)) > 0.95
    state = model.net_.optimizer_.state
    assert all(s["visited"] == 4 * 5 for p, s in state.items() if "visited" in s)  # the last quarter is the third stage


def test_is_saved_with_the_estimator(tmp_path):
    X, y = make_classification(200, random_state=0)
    model = LossClassifier(optimizer="pesg", lr=0.1, max_epochs=2, random_state=0).fit(X, y)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
