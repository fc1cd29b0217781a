import numpy as np
import pytest
import torch

from sklearnloss.exceptions import DataError
from sklearnloss.losses.regression.afcrps import afcrps as trained
from sklearnloss.metrics.afcrps import afcrps
from sklearnloss.metrics.crps import crps
from sklearnloss.metrics.fair_crps import fair_crps
from sklearnloss.registry import lookup


def made(seed, n=20, m=7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), rng.normal(size=(n, m)), rng.uniform(size=n)


def test_the_worked_number():
    assert afcrps([1.0], [[0.0, 1.0, 3.0]]) == pytest.approx(1 / 60)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.95, 1.0])
def test_is_the_formula_written_with_loops(alpha):
    y, x, _ = made(0, n=1)
    m = x.shape[1]
    apart = sum(abs(a - b) for a in x[0] for b in x[0])
    expected = np.abs(x - y).mean() - (1 - (1 - alpha) / m) / (2 * m * (m - 1)) * apart
    assert afcrps(y, x, alpha=alpha) == pytest.approx(expected, rel=1e-12)


def test_its_ends_are_the_other_two_scores():
    y, x, weight = made(1)
    assert afcrps(y, x, weight, alpha=0.0) == pytest.approx(crps(y, x, weight), rel=1e-12)
    assert afcrps(y, x, weight, alpha=1.0) == pytest.approx(fair_crps(y, x, weight), rel=1e-12)


def test_is_the_mean_of_the_loss_of_this_name():
    y, x, _ = made(2)
    values = trained(torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None], alpha=0.9)
    assert afcrps(y, x, alpha=0.9) == pytest.approx(values.mean().item(), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_is_not_negative(seed):
    y, x, _ = made(seed, n=1, m=3)
    assert afcrps(y, x, alpha=1.0) >= -1e-15


def test_less_is_better():
    assert not lookup("metric", "almost_fair_crps").greater_is_better


def test_one_member_is_refused():
    with pytest.raises(DataError, match="afcrps compares members with each other, so it needs at least 2, got 1"):
        afcrps([0.0], [[1.0]])
