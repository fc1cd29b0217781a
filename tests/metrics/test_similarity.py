import sys
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.eer import eer
from sklearnloss.metrics.similarity import SimilarityDisplay

matplotlib.use("Agg")

X, Y = load_iris(return_X_y=True)
NAMES = ("different class", "same class")


@pytest.fixture
def ax():
    return Figure(figsize=(5, 3)).add_subplot()


def lines(ax):
    """Return the drawn outlines by name."""
    return {patch.get_label(): patch for patch in ax.patches if patch.get_label() in NAMES}


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_of_few_pairs_all_are_drawn_and_the_error_rate_is_that_of_the_metric(ax, distance):
    display = SimilarityDisplay.from_embeddings(X, Y, distance=distance, ax=ax)
    assert len(display.same_) == 3 * 50 * 49 // 2
    assert len(display.different_) == 3 * 50 * 50
    assert display.eer_ == pytest.approx(eer(X, Y, distance=distance))
    assert display.ax_ is ax
    assert ax.texts[0].get_text() == f"EER {display.eer_:.1%} at {display.threshold_:.3g}"
    display.figure_.savefig(BytesIO(), format="png")


def test_of_two_lines_the_threshold_is_the_cosine_between_them(ax):
    display = SimilarityDisplay([0.9, 1.2], [0.0, 0.1])
    assert display.eer_ == 0
    assert display.threshold_ == pytest.approx(0.9)  # a cosine; whoever is farther than 0.1 is rejected
    display.plot(ax)
    assert ax.lines[0].get_xdata() == pytest.approx([0.9, 0.9])
    assert ax.get_xlabel() == "cosine similarity"


def test_euclidean_distances_are_drawn_as_distances(ax):
    display = SimilarityDisplay.from_embeddings(
        [[0.0], [1.0], [10.0], [12.0]], list("aabb"), distance="euclidean", ax=ax
    )
    assert sorted(display.same_) == pytest.approx([1, 2])
    assert display.threshold_ == pytest.approx(2)
    assert ax.get_xlabel() == "Euclidean distance"


def test_both_histograms_have_area_one_on_the_same_bars(ax):
    SimilarityDisplay.from_embeddings(X, Y, bins=30, ax=ax)
    for patch in lines(ax).values():
        x, y = patch.get_xy().T
        assert np.trapezoid(y, x) == pytest.approx(1)
    assert tuple(lines(ax)) == NAMES
    assert len({patch.get_linestyle() for patch in lines(ax).values()}) == 2  # told apart without colour
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["different class", "same class"]


def test_of_many_pairs_as_many_are_drawn_as_allowed_by_the_seed(ax):
    one, two, other = (
        SimilarityDisplay.from_embeddings(X, Y, max_pairs=500, random_state=seed, ax=ax) for seed in (3, 3, 4)
    )
    assert len(one.same_) == len(one.different_) == 500
    np.testing.assert_array_equal(one.same_, two.same_)
    assert (one.same_ != other.same_).any()
    assert one.eer_ == pytest.approx(eer(X, Y), abs=0.05)


def test_of_a_gallery_pairs_are_those_of_a_query_and_a_row(ax):
    display = SimilarityDisplay.from_embeddings(X[::2], Y[::2], X[1::2], Y[1::2], ax=ax)
    assert len(display.same_) == 3 * 25 * 25
    assert display.eer_ == pytest.approx(eer(X[::2], Y[::2], X[1::2], Y[1::2]))


def test_of_an_estimator_it_is_that_of_its_transform_under_the_name_of_its_last_step(ax):
    model = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    display = SimilarityDisplay.from_estimator(model, X, Y, ax=ax)
    assert display.eer_ == pytest.approx(eer(model.transform(X), Y))
    assert ax.get_title(loc="left") == "PCA"


def test_keywords_reach_the_bars(ax):
    SimilarityDisplay.from_embeddings(X, Y, ax=ax, zorder=7)
    assert all(patch.get_zorder() == 7 for patch in ax.patches)


def test_embeddings_that_fell_together_are_drawn(ax):
    display = SimilarityDisplay.from_embeddings(np.ones((6, 2)), list("aaabbb"), ax=ax)
    assert display.eer_ == 0.5
    display.figure_.savefig(BytesIO(), format="png")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'SimilarityDisplay needs matplotlib: pip install "sklearnloss\[report\]"'):
        SimilarityDisplay([1.0], [0.5]).plot()


def test_what_has_no_pairs_is_refused(ax):
    with pytest.raises(DataError, match="y has one class"):
        SimilarityDisplay.from_embeddings(X, np.zeros(150), ax=ax)
    with pytest.raises(ParameterError, match=r"max_pairs must be an int in \[1, inf\), got 0"):
        SimilarityDisplay.from_embeddings(X, Y, max_pairs=0, ax=ax)
    with pytest.raises(ParameterError, match=r"bins must be an int in \[1, inf\), got 0"):
        SimilarityDisplay.from_embeddings(X, Y, bins=0, ax=ax)
