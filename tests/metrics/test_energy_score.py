import numpy as np
import pytest
import torch

from sklearnloss.exceptions import DataError
from sklearnloss.losses.regression.energy_score import energy_score as trained
from sklearnloss.metrics.crps import crps
from sklearnloss.metrics.energy_score import energy_score
from sklearnloss.metrics.fair_crps import fair_crps
from sklearnloss.registry import lookup


def made(seed, n=15, d=3, m=6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, d, m)), rng.uniform(size=n)


def test_the_worked_number():
    assert energy_score([[0.0, 0.0]], [[[0.0, 3.0], [0.0, 4.0]]]) == 1.25


@pytest.mark.parametrize("fair", [False, True])
def test_is_the_formula_written_with_loops(fair):
    y, x, weight = made(0)
    m = x.shape[2]
    rows = []
    for target, members in zip(y, x, strict=True):
        far = np.mean([np.linalg.norm(members[:, j] - target) for j in range(m)])
        apart = sum(np.linalg.norm(members[:, j] - members[:, k]) for j in range(m) for k in range(m))
        rows.append(far - apart / (2 * (m * (m - 1) if fair else m**2)))
    assert energy_score(y, x, weight, fair=fair) == pytest.approx(np.average(rows, weights=weight), rel=1e-12)


def test_agrees_with_scoringrules():
    # scoringrules 0.10: es_ensemble(y, x with members before targets), averaged
    y = [[0.0, 1.0], [2.0, -1.0]]
    x = [[[0.0, 1.0, 2.0], [1.0, 1.0, 3.0]], [[2.0, 0.0, 4.0], [-1.0, 0.0, -1.0]]]
    assert energy_score(y, x) == pytest.approx(0.5427675889652506, rel=1e-12)


def test_of_one_target_it_is_the_ranked_probability_score():
    y, x, _ = made(1, d=1)
    assert energy_score(y, x) == pytest.approx(crps(y, x), rel=1e-12)
    assert energy_score(y, x, fair=True) == pytest.approx(fair_crps(y, x), rel=1e-12)


def test_is_the_mean_of_the_loss_of_this_name():
    y, x, _ = made(2)
    values = trained(torch.from_numpy(x), torch.from_numpy(y), n_members=6)
    assert energy_score(y, x, fair=True) == pytest.approx(values.mean().item(), rel=1e-12)


def test_sees_which_values_go_with_which():
    rng = np.random.default_rng(0)
    first = rng.normal(size=400)
    y = np.stack([first, first], axis=1)  # the targets are equal
    together = rng.normal(size=(400, 1, 50)).repeat(2, axis=1)
    apart = rng.normal(size=(400, 2, 50))
    assert energy_score(y, together) < energy_score(y, apart) - 0.02
    assert abs(crps(y, together) - crps(y, apart)) < 0.02


def test_less_is_better():
    assert not lookup("metric", "energy_score").greater_is_better


def test_one_target_without_axis_and_one_member_to_be_fair_are_refused():
    with pytest.raises(DataError, match=r"energy_score: y_true must have shape \(n, n_targets\), got \(1,\); crps"):
        energy_score([0.0], [[1.0]])
    with pytest.raises(DataError, match="needs at least 2, got 1"):
        energy_score([[0.0]], [[[1.0]]], fair=True)
