import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.datasets import load_iris

from sklearnloss import LossClassifier, Optimizer, load
from sklearnloss.exceptions import ParameterError
from sklearnloss.optimizers.cvar_spl import CVaRSPL


def taken(loss, gradient, threshold, *, lr=0.1, threshold_lr=0.2, beta=0.5, weight=None):
    """Take one step from a threshold on a linear loss; return how weights and threshold moved."""
    start = torch.zeros(len(gradient), dtype=torch.float64) if weight is None else torch.tensor(weight)
    p = torch.nn.Parameter(start.clone())
    optimizer = CVaRSPL([{"params": [p], "lr": lr}], beta=beta, threshold_lr=threshold_lr, power=0.0)
    optimizer.state[p] |= {"threshold": torch.tensor(threshold, dtype=torch.float64), "steps": 0}

    def closure():
        optimizer.zero_grad()
        value = loss + (p - start) @ torch.tensor(gradient, dtype=torch.float64)
        value.backward()
        return value

    optimizer.step(closure)
    return (p.detach() - start).numpy(), optimizer.threshold.item() - threshold


@pytest.mark.parametrize("seed", range(3))
def test_a_step_minimizes_the_model(seed):
    rng = np.random.default_rng(seed)
    g, loss, t = rng.normal(size=3), rng.normal(), rng.normal()
    lr, own, beta = rng.uniform(0.05, 0.5, size=3)
    w = 1 / (1 - beta)

    def model(move):  # the hinge is a bounded multiple: minimize over it by its dual, or directly, as here
        over = max(loss + move[:3] @ g - (t + move[3]), 0)
        return t + move[3] + w * over + move[:3] @ move[:3] / (2 * lr) + move[3] ** 2 / (2 * own)

    found, rose = taken(loss, g, t, lr=lr, threshold_lr=own, beta=beta)
    ours = model(np.append(found, rose))
    best = min(
        minimize(model, s, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 9000}).fun
        for s in (np.zeros(4), np.append(found, rose) + 0.01)
    )
    assert ours <= best + 1e-9
    assert ours == pytest.approx(best, abs=1e-4)


def test_a_loss_far_below_the_threshold_moves_only_the_threshold():
    move, rose = taken(0.0, [1.0, -2.0], 0.3)
    assert (move == 0).all()
    assert rose == pytest.approx(-0.2)


def test_a_loss_far_above_takes_the_step_of_the_subgradient():
    g = np.array([1.0, -2.0])
    move, rose = taken(100.0, g, 0.0)
    assert move == pytest.approx(-0.1 * 2 * g)
    assert rose == pytest.approx(-0.2 * (1 - 2))


def test_between_the_loss_lands_on_the_threshold():
    g = np.array([1.0, -2.0])
    move, rose = taken(1.0, g, 0.9)
    assert 1.0 + move @ g == pytest.approx(0.9 + rose)


def test_nothing_left_out_and_a_low_threshold_are_gradient_steps():
    g = np.array([1.0, -2.0])
    move, rose = taken(1.0, g, -100.0, beta=0.0)
    assert move == pytest.approx(-0.1 * g)
    assert rose == pytest.approx(0)


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.9999999])
def test_with_nearly_all_left_out_a_step_stays_bounded(beta):
    g = np.array([1.0, -2.0])
    move, rose = taken(1.0, g, 1.0, beta=beta)
    # loss and threshold fall to the same value, however large 1 / (1 - beta) is
    assert -0.2 <= rose <= 0
    assert move @ g == pytest.approx(rose)


def test_rates_fall_with_the_root_of_the_steps_and_groups_keep_their_own():
    a, b = (torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))
    optimizer = CVaRSPL([{"params": [a], "lr": 0.1}, {"params": [b], "lr": 0.02}], beta=0.5, threshold_lr=0.1)
    t, x, y = None, 0.0, 0.0
    for k in range(1, 6):

        def closure():
            optimizer.zero_grad()
            value = (1 + a + 2 * b).sum()
            value.backward()
            return value

        optimizer.step(closure)
        loss, fall = 1 + x + 2 * y, k**-0.5
        t = loss if t is None else t
        eta = min(max((loss - t + 0.1 * fall) / (2 * fall * (0.1 + 0.1 * 1 + 0.02 * 4)), 0), 1)
        x, y = x - 0.1 * fall * 2 * eta, y - 0.02 * fall * 2 * eta * 2
        t -= 0.1 * fall * (1 - 2 * eta)
        assert [a.item(), b.item(), optimizer.threshold.item()] == pytest.approx([x, y, t])


def test_weights_decay_apart_from_the_gradient():
    p = torch.nn.Parameter(torch.tensor([4.0]))
    optimizer = CVaRSPL([{"params": [p], "lr": 0.1, "weight_decay": 0.5}])
    p.grad = torch.zeros(1)
    optimizer.step(lambda: torch.tensor(1.0))
    assert p.item() == pytest.approx(4 * 0.95)


def test_the_threshold_finds_the_quantile_of_the_losses():
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = CVaRSPL([{"params": [p], "lr": 0.0}], beta=0.8, threshold_lr=0.2)
    rng = np.random.default_rng(0)
    for value in rng.uniform(size=4000):
        optimizer.step(lambda value=value: torch.tensor(value))
    assert optimizer.threshold.item() == pytest.approx(0.8, abs=0.06)


def test_a_step_without_the_loss_is_refused():
    optimizer = CVaRSPL([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.1}])
    with pytest.raises(TypeError, match=r"needs the loss: call step\(closure\)"):
        optimizer.step()


def test_a_share_of_one_is_refused():
    with pytest.raises(ParameterError, match=r"beta must be a float in \[0, 1\)"):
        Optimizer("cvar_spl", beta=1.0).choose()


def test_trains_by_name_and_goes_on_from_a_file(tmp_path):
    X, y = load_iris(return_X_y=True)
    model = LossClassifier(
        optimizer=Optimizer("cvar_spl", beta=0.5), lr=0.2, batch_size=10, max_epochs=20, random_state=0
    ).fit(X, y)
    assert model.score(X, y) > 0.85
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert (again.predict_proba(X) == model.predict_proba(X)).all()


def located(data, lr, steps=1200):
    """Return the place, from the mean on, where the risk of squared distances is least: the mean of late steps."""
    p = torch.nn.Parameter(torch.tensor([data.mean()]))
    optimizer = CVaRSPL([{"params": [p], "lr": lr}], beta=0.9)
    visited = []
    for value in np.random.default_rng(9).choice(data, steps):

        def closure(value=value):
            optimizer.zero_grad()
            loss = (p - value).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        visited.append(p.item())
    return np.mean(visited[steps // 2 :])


def risk(data, place):
    """Return the mean of the worst tenth of the squared distances."""
    return np.sort((data - place) ** 2)[-len(data) // 10 :].mean()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_trades_mean_loss_for_that_of_the_worst(seed):
    data = np.random.default_rng(seed).exponential(size=200)  # a tail on one side
    place = located(data, 0.1)
    assert place > data.mean()  # where the mean loss is least
    assert risk(data, place) < risk(data, data.mean())


@pytest.mark.parametrize("lr", [0.01, 0.1, 1.0])
def test_rates_over_two_orders_lower_the_risk(lr):
    data = np.random.default_rng(0).exponential(size=200)
    assert risk(data, located(data, lr)) < risk(data, data.mean())


@pytest.mark.parametrize("lr", [1.0, 10.0, 100.0])
def test_large_rates_stay_among_the_data_where_subgradients_diverge(lr):
    data = np.random.default_rng(0).exponential(size=200)
    assert data.min() < located(data, lr) < data.max()
    place, t = data.mean(), 0.0
    for k, value in enumerate(np.random.default_rng(9).choice(data, 30), 1):  # w is 10
        above = (place - value) ** 2 > t
        place -= lr * k**-0.5 * 10 * above * 2 * (place - value)
        t -= 0.1 * k**-0.5 * (1 - 10 * above)
    assert risk(data, place) > 1e6
