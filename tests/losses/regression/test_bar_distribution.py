import numpy as np
import pytest
import torch

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.bar_distribution import BarDistribution

P = torch.tensor([[[0.25, 0.75]]], dtype=torch.float64)
Y_TRAIN = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)


@pytest.mark.parametrize(("tails", "wanted"), [(False, 0.9808293), (True, 1.6572865)])
def test_gives_the_worked_numbers(tails, wanted):
    criterion = BarDistribution(y_train=Y_TRAIN, n_bins=2, tails=tails)
    assert criterion.borders.tolist() == [[0.0, 1.0, 3.0]]
    assert float(criterion(P.log(), torch.tensor([[2.0]], dtype=torch.float64))) == pytest.approx(wanted, abs=1e-7)


def test_the_mean_is_the_worked_number():
    assert BarDistribution(y_train=Y_TRAIN, n_bins=2, tails=False).histogram(P.log()).mean() == pytest.approx(1.625)


@pytest.mark.parametrize("tails", [False, True])
def test_the_density_is_the_slope_of_the_distribution_function_and_sums_to_one(tails):
    rng = np.random.default_rng(0)
    y_train = torch.from_numpy(rng.normal(size=(200, 1)))
    criterion = BarDistribution(y_train=y_train, n_bins=7, tails=tails)
    columns = torch.from_numpy(rng.normal(size=(1, 1, 7)))
    ends = (-30.0, 30.0) if tails else (float(criterion.borders[0, 0]), float(criterion.borders[0, -1]))
    x = torch.linspace(*ends, 200_001, dtype=torch.float64)
    middle = ((x[1:] + x[:-1]) / 2)[:, None]
    density = torch.exp(-criterion(columns.expand(len(middle), 1, 7), middle))[:, 0]
    mass = density * (x[1] - x[0])
    assert float(mass.sum()) == pytest.approx(1, abs=1e-3)
    reached = criterion.histogram(columns).cdf(x[1:].numpy()[:, None])[:, 0]
    np.testing.assert_allclose(mass.cumsum(0).numpy(), reached, atol=1e-3)


def test_equal_targets_have_bars_of_some_width():
    criterion = BarDistribution(y_train=torch.tensor([[1.0]] * 50 + [[2.0]] * 50), n_bins=10)
    assert (criterion.borders.diff() > 0).all()
    assert criterion.borders.min() >= 1
    assert criterion.borders.max() <= 2.01


def test_bars_hold_the_same_number_of_training_targets():
    y_train = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)).exp()
    borders = BarDistribution(y_train=y_train, n_bins=10).borders[0]
    counts = torch.histogram(y_train[:, 0], borders).hist
    assert counts.min() >= 98
    assert counts.max() <= 102


def test_two_peaks_are_found():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(500, 1))
    y = np.where(rng.uniform(size=500) < 0.5, 3.0, -3.0) + X[:, 0] + 0.2 * rng.normal(size=500)
    scores = {}
    for name in ("bar_distribution", "gaussian_nll"):
        loss = Loss(name, n_bins=20) if name == "bar_distribution" else name
        model = LossRegressor(loss, hidden_layer_sizes=(16,), lr=0.02, max_epochs=30, random_state=0).fit(X, y)
        scores[name] = model.predict_dist(X).crps(y).mean()
        covered = model.predict_interval(X, coverage=0.8)
        assert 0.7 < ((covered[:, 0] <= y) & (y <= covered[:, 1])).mean() <= 1
    assert scores["bar_distribution"] < scores["gaussian_nll"]
