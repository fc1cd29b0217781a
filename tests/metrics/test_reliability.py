import sys
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression

from sklearnloss.metrics.ece import ece
from sklearnloss.metrics.reliability import ReliabilityDisplay

matplotlib.use("Agg")

Y, P = np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 0.8, 0.9])


@pytest.fixture
def ax():
    return Figure(figsize=(4, 4)).add_subplot()


def test_holds_the_bins_worked_by_hand(ax):
    display = ReliabilityDisplay.from_predictions(Y, P, n_bins=2, ax=ax)
    assert display.confidence_ == pytest.approx([0.25, 2.3 / 3])
    assert display.accuracy_ == pytest.approx([1 / 2, 2 / 3])
    assert display.count_.tolist() == [2, 3]
    assert display.ece_ == pytest.approx(0.8 / 5)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_the_line_is_the_calibration_curve_of_scikit_learn(ax, strategy):
    rng = np.random.default_rng(0)
    p = rng.random(200)
    y = (rng.random(200) < p**2).astype(int)
    frequency, mean = calibration_curve(y, p, n_bins=10, strategy=strategy)
    display = ReliabilityDisplay.from_predictions(y, p, n_bins=10, strategy=strategy, ax=ax)
    assert display.line_.get_xdata() == pytest.approx(mean)
    assert display.line_.get_ydata() == pytest.approx(frequency)


def test_draws_on_the_axes_given_with_the_error_in_the_title(ax):
    display = ReliabilityDisplay.from_predictions(Y, P, n_bins=2, name="net", ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.get_title() == "ECE 0.160"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["perfectly calibrated", "net, ECE 0.160"]
    display.figure_.savefig(BytesIO(), format="png")


def test_two_share_axes_with_one_diagonal_and_the_errors_in_the_legend(ax):
    ReliabilityDisplay.from_predictions(Y, P, n_bins=2, name="a", ax=ax)
    ReliabilityDisplay.from_predictions(Y, P, n_bins=1, name="b", ax=ax)
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ["perfectly calibrated", "a, ECE 0.160", "b, ECE 0.040"]
    assert ax.get_title() == ""


def test_keywords_reach_the_line_and_the_gaps_follow_its_colour(ax):
    display = ReliabilityDisplay.from_predictions(Y, P, n_bins=2, ax=ax, color="green", linestyle="--")
    assert display.line_.get_color() == "green"
    assert display.line_.get_linestyle() == "--"
    gaps = ax.collections[0]
    assert gaps.get_color()[0][:3] == pytest.approx(matplotlib.colors.to_rgb("green"))
    assert len(gaps.get_segments()) == 2


def test_a_new_figure_is_made_where_no_axes_are_given():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    display = ReliabilityDisplay.from_predictions(Y, P)
    assert len(plt.get_fignums()) == len(before) + 1
    plt.close(display.figure_)
    assert plt.get_fignums() == before


def test_of_an_estimator_with_two_classes_it_is_that_of_the_second(ax):
    X, y = load_breast_cancer(return_X_y=True)
    names = np.array(["malignant", "benign"])[y]
    model = LogisticRegression().fit(X[:, :3] / 10, names)  # classes_ are sorted: benign first
    display = ReliabilityDisplay.from_estimator(model, X[:, :3] / 10, names, n_bins=5, ax=ax)
    proba = model.predict_proba(X[:, :3] / 10)[:, 1]
    assert display.ece_ == pytest.approx(ece((names == "malignant").astype(int), proba, n_bins=5))
    assert display.name == "LogisticRegression"


def test_of_an_estimator_with_more_classes_it_is_that_of_the_top_label(ax):
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = LogisticRegression(max_iter=1000).fit(X, names)
    display = ReliabilityDisplay.from_estimator(model, X, names, name="iris", ax=ax)
    assert display.ece_ == pytest.approx(ece(y, model.predict_proba(X), n_bins=10))
    assert display.count_.sum() == 150
    assert display.name == "iris"


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "sklearnloss\[report\]"'):
        ReliabilityDisplay([0.5], [0.5], [1]).plot()


def test_what_is_no_probability_is_refused(ax):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 2.0"):
        ReliabilityDisplay.from_predictions([0, 1], [0.5, 2.0], ax=ax)
