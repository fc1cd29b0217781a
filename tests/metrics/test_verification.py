import sys
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.spatial.distance import pdist
from scipy.stats import norm
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.metrics import det_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.eer import eer
from sklearnloss.metrics.verification import VerificationDisplay, verification_curve

matplotlib.use("Agg")

X, Y = load_iris(return_X_y=True)


@pytest.fixture
def ax():
    return Figure(figsize=(4, 4)).add_subplot()


@pytest.mark.parametrize(("distance", "metric"), [("cosine", "cosine"), ("euclidean", "euclidean")])
@pytest.mark.parametrize("n_thresholds", [50, 20_000])
def test_rates_are_those_of_all_pairs_at_each_threshold(distance, metric, n_thresholds):
    X, Y = np.random.default_rng(0).normal(size=(120, 3)), np.arange(120) % 4
    far, frr, thresholds = verification_curve(X, Y, distance=distance, n_thresholds=n_thresholds)
    distances, same = pdist(X, metric), pdist(Y[:, None], "chebyshev") == 0
    inner = thresholds[1:-1] + 1e-9  # the last bits of a pair's own distance are another here
    assert far[1:-1] == pytest.approx([(distances[~same] <= t).mean() for t in inner])
    assert frr[1:-1] == pytest.approx([(distances[same] > t).mean() for t in inner])
    assert (far[0], frr[0], far[-1], frr[-1]) == (0, 1, 1, 0)
    assert (np.diff(thresholds) > 0).all()
    assert len(thresholds) <= 2 * n_thresholds + 2


def test_with_a_threshold_for_each_pair_it_is_the_det_curve_of_scikit_learn():
    X, Y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3
    far, frr, _ = verification_curve(X, Y, distance="euclidean")
    expected = det_curve(pdist(Y[:, None], "chebyshev") == 0, -pdist(X))[:2]
    points = {(round(a, 9), round(b, 9)) for a, b in zip(far, frr, strict=True)}
    assert {(round(a, 9), round(b, 9)) for a, b in zip(*expected, strict=True)} <= points


def test_draws_the_curve_in_normal_deviates_with_the_error_rate_on_the_diagonal(ax):
    display = VerificationDisplay([0.0, 0.02, 0.1, 0.3, 1.0], [1.0, 0.4, 0.1, 0.05, 0.0], 0.1, name="net").plot(ax)
    assert display.line_.get_xdata()[1:-1] == pytest.approx(norm.ppf([0.02, 0.1, 0.3]))
    assert display.line_.get_ydata()[1:-1] == pytest.approx(norm.ppf([0.4, 0.1, 0.05]))
    assert np.isfinite(display.line_.get_xydata()).all()
    point = ax.lines[-1]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == pytest.approx((norm.ppf(0.1), norm.ppf(0.1)))
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["chance", "net, EER 10.00%"]
    assert display.ax_ is ax
    display.figure_.savefig(BytesIO(), format="png")


def test_ticks_are_shares_in_per_cent(ax):
    VerificationDisplay([0.0, 0.1, 1.0], [1.0, 0.1, 0.0], 0.1).plot(ax)
    for tick, word in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True):
        assert norm.cdf(tick) == pytest.approx(float(word.get_text()) / 100)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_error_rate_is_that_of_the_metric(ax, distance):
    display = VerificationDisplay.from_embeddings(X, Y, distance=distance, ax=ax)
    assert display.eer_ == eer(X, Y, distance=distance)


def test_two_share_axes_with_one_line_of_chance(ax):
    first = VerificationDisplay.from_embeddings(X, Y, name="a", ax=ax)
    second = VerificationDisplay.from_embeddings(X, Y, distance="euclidean", name="b", ax=ax, color="black")
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ["chance", f"a, EER {first.eer_:.2%}", f"b, EER {second.eer_:.2%}"]
    assert second.line_.get_color() == "black"


def test_of_an_estimator_it_is_that_of_its_transform_under_the_name_of_its_last_step(ax):
    model = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    display = VerificationDisplay.from_estimator(model, X, Y, ax=ax)
    assert display.eer_ == eer(model.transform(X), Y)
    assert display.name == "PCA"


def test_classes_without_an_error_are_drawn(ax):
    display = VerificationDisplay.from_embeddings(
        [[0.0], [1.0], [9.0], [10.0]], list("aabb"), distance="euclidean", ax=ax
    )
    assert display.eer_ == 0
    assert all(np.isfinite(line.get_xydata()).all() for line in ax.lines)
    assert ax.lines[-1].get_xydata()[0] == pytest.approx([ax.get_xlim()[0], ax.get_ylim()[0]])  # in the corner
    display.figure_.savefig(BytesIO(), format="png")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'VerificationDisplay needs matplotlib: pip install "sklearnloss\[report\]"'):
        VerificationDisplay([0.0, 1.0], [1.0, 0.0], 0.5).plot()


def test_what_has_no_curve_is_refused():
    with pytest.raises(DataError, match="y has one class"):
        verification_curve(X, np.zeros(150))
    with pytest.raises(ParameterError, match="n_thresholds must be an int"):
        verification_curve(X, Y, n_thresholds=0)
