import sys
from io import BytesIO

import numpy as np
import pytest
from scipy import stats
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearnloss import FanChartDisplay, LossRegressor, PITDisplay, QuantileReliabilityDisplay
from sklearnloss.exceptions import DataError, ParameterError, TaskError
from sklearnloss.functional.distributions import Ensemble, Quantiles

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
RNG = np.random.default_rng(0)
LOC = RNG.normal(size=500)
Y = LOC + RNG.normal(size=500)
Q = LOC[:, None] + stats.norm.ppf(LEVELS)  # calibrated


@pytest.fixture
def ax():
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture(scope="module")
def models():
    X = np.stack([LOC, RNG.normal(size=500)], axis=1)
    losses = ("gaussian_nll", "energy_score")
    fitted = {name: LossRegressor(name, max_epochs=2, random_state=0).fit(X, Y) for name in losses}
    fitted["pipeline"] = make_pipeline(StandardScaler(), LossRegressor("pinball", max_epochs=2)).fit(X, Y)
    return X, fitted


# -- fan chart --------------------------------------------------------------------------------------------------------


def test_each_symmetric_pair_is_a_band_and_the_widest_lies_behind(ax):
    display = FanChartDisplay.from_predictions(Q, Y, levels=LEVELS, ax=ax)
    assert display.bands_ == [(0.1, 0.9), (0.25, 0.75)]
    assert len(ax.collections) == 3  # two bands and the outcomes
    assert ax.collections[0].get_alpha() < ax.collections[1].get_alpha()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["80 %", "50 %", "median", "outcome"]
    display.figure_.savefig(BytesIO(), format="png")


def test_rows_stand_in_the_order_of_their_median_or_of_x(ax):
    display = FanChartDisplay.from_predictions(Q, Y, levels=LEVELS, ax=ax)
    assert (np.diff(ax.lines[0].get_ydata()) >= 0).all()
    assert ax.get_xlabel() == "row, by predicted median"
    np.testing.assert_array_equal(display.y_, Y[np.argsort(LOC, kind="stable")])
    by_x = FanChartDisplay.from_predictions(Q, levels=LEVELS, x=-LOC, x_label="hour", ax=ax)
    np.testing.assert_array_equal(by_x.x_, np.sort(-LOC))
    np.testing.assert_array_equal(by_x.quantiles_, Q[np.argsort(-LOC)])
    assert ax.get_xlabel() == "hour"
    assert by_x.y_ is None


def test_levels_without_a_median_or_without_a_pair(ax):
    FanChartDisplay.from_predictions(Q[:, [0, 4]], levels=(0.1, 0.9), ax=ax)
    assert not ax.lines
    with pytest.raises(ParameterError, match=r"must hold a pair that is symmetric around 0\.5"):
        FanChartDisplay.from_predictions(Q[:, [0, 3]], levels=(0.1, 0.75), ax=ax)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FanChartDisplay(np.arange(4), Q[:3], LEVELS), r"quantiles must have shape \(4, 5\)"),
        (lambda: FanChartDisplay(np.arange(3), Q[:3], LEVELS, Y[:2]), r"y must have shape \(3,\)"),
        (lambda: FanChartDisplay.from_predictions(Q[:, :2], levels=LEVELS), r"quantiles must have shape \(n, 5\)"),
    ],
)
def test_a_chart_of_arrays_that_do_not_fit_is_refused(make, words):
    with pytest.raises(DataError, match=words):
        make()


# -- reliability ------------------------------------------------------------------------------------------------------


def test_the_share_at_or_below_each_level(ax):
    display = QuantileReliabilityDisplay.from_predictions(Y, Q, levels=LEVELS, name="net", ax=ax)
    np.testing.assert_allclose(display.share_, [(Y <= Q[:, j]).mean() for j in range(5)])
    np.testing.assert_array_equal(display.line_.get_xydata(), np.stack([LEVELS, display.share_], axis=1))
    np.testing.assert_allclose(display.share_, LEVELS, atol=4 * 0.5 / 500**0.5)  # they are calibrated


def test_nine_of_ten_shares_of_calibrated_forecasts_lie_in_the_band():
    rng = np.random.default_rng(1)
    shares = rng.binomial(80, 0.25, size=20_000) / 80
    low, high = QuantileReliabilityDisplay([0.25], [0.25], 80).band_[:, 0]
    inside = ((shares >= low) & (shares <= high)).mean()
    assert 0.89 < inside < 0.96  # it is at least nine of ten, by as much as one step is likely


def test_several_share_axes_with_one_diagonal(ax):
    QuantileReliabilityDisplay.from_predictions(Y, Q, levels=LEVELS, name="a", ax=ax)
    second = QuantileReliabilityDisplay.from_predictions(Y, Q + 1, levels=LEVELS, name="b", ax=ax, color="black")
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ["90% of chance", "perfectly calibrated", "a", "b"]
    assert second.line_.get_color() == "black"


def test_targets_are_counted_together(ax):
    y, q = np.stack([Y, Y], axis=1), np.stack([Q, Q + 9], axis=1)
    display = QuantileReliabilityDisplay.from_predictions(y, q, levels=LEVELS, ax=ax)
    np.testing.assert_allclose(display.share_, [((Y <= Q[:, j]).mean() + 1) / 2 for j in range(5)])
    assert display.n_ == 1000


# -- probability integral transform -----------------------------------------------------------------------------------


def test_calibrated_forecasts_are_flat_and_narrow_ones_a_valley(ax):
    levels = tuple(np.arange(1, 100) / 100)
    q = LOC[:, None] + stats.norm.ppf(levels)
    flat = PITDisplay.from_predictions(Y, q, levels=levels, n_bins=5, ax=ax)
    np.testing.assert_allclose(flat.density_, 1, atol=4 * (5 * 0.8 / 500) ** 0.5 * 0.999)
    narrow = PITDisplay.from_predictions(Y, LOC[:, None] + 0.3 * (q - LOC[:, None]), levels=levels, n_bins=5, ax=ax)
    assert narrow.density_[0] > 1.5
    assert narrow.density_[2] < 0.5
    np.testing.assert_allclose(narrow.values_, Quantiles(LOC[:, None] + 0.3 * (q - LOC[:, None]), levels).cdf(Y))
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches if bar.get_width() == 0.2][-5:], narrow.density_)
    flat.figure_.savefig(BytesIO(), format="png")


def test_ranks_in_an_ensemble_are_spread_evenly(models, ax):
    X, fitted = models
    display = PITDisplay.from_estimator(fitted["energy_score"], X, Y, ax=ax)
    members = fitted["energy_score"].predict_dist(X).members
    below = (members < Y[:, None]).sum(axis=1)
    place = display.values_ * (members.shape[1] + 1)
    assert (np.floor(place) == below).all()
    assert not (place == below).any()
    assert isinstance(fitted["energy_score"].predict_dist(X), Ensemble)


def test_a_distribution_says_it_itself(models, ax):
    X, fitted = models
    display = PITDisplay.from_estimator(fitted["gaussian_nll"], X, Y, n_bins=4, ax=ax)
    np.testing.assert_allclose(display.values_, fitted["gaussian_nll"].predict_dist(X).cdf(Y))
    assert ax.get_title() == "LossRegressor"
    assert display.density_.mean() == pytest.approx(1)


@pytest.mark.parametrize("values", [[], [1.2], [-0.1], [[0.5]], [np.nan]])
def test_values_that_are_no_probabilities_are_refused(values):
    with pytest.raises(DataError, match="values must be probabilities"):
        PITDisplay(values)


@pytest.mark.parametrize("n_bins", [0, 1.5, True])
def test_a_number_of_bars_that_is_none_is_refused(n_bins):
    with pytest.raises(ParameterError, match=r"n_bins must be an int in \[1, inf\)"):
        PITDisplay([0.5], n_bins=n_bins)


# -- all three --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("display", [FanChartDisplay, QuantileReliabilityDisplay, PITDisplay])
def test_of_a_pipeline_it_is_that_of_its_last_step(display, models, ax):
    X, fitted = models
    drawn = display.from_estimator(fitted["pipeline"], X, Y, ax=ax)
    assert drawn.ax_ is ax
    assert "LossRegressor" in ax.get_title() + "".join(map(str, ax.get_legend().get_texts()))
    drawn.figure_.savefig(BytesIO(), format="png")


@pytest.mark.parametrize("display", [FanChartDisplay, QuantileReliabilityDisplay, PITDisplay])
def test_an_estimator_of_points_is_refused(display, models):
    X, _ = models
    points = LossRegressor("mse", max_epochs=1).fit(X, Y)
    with pytest.raises(TaskError, match=rf"{display.__name__} needs predict_\w+, which LossRegressor does not have"):
        display.from_estimator(points, X, Y)


@pytest.mark.parametrize(
    "drawn",
    [FanChartDisplay(range(3), Q[:3], LEVELS), QuantileReliabilityDisplay([0.5], [0.4], 9), PITDisplay([0.5])],
    ids=lambda drawn: type(drawn).__name__,
)
def test_without_matplotlib_it_says_what_to_install(monkeypatch, drawn):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf'{type(drawn).__name__} needs matplotlib: pip install "sklearnloss\['):
        drawn.plot()
