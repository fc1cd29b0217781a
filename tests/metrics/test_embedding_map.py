import sys
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearnloss.exceptions import DataError, TaskError
from sklearnloss.metrics._axes import COLORS
from sklearnloss.metrics.embedding_map import EmbeddingMapDisplay

matplotlib.use("Agg")

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


class FirstTwo(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X[:, :2]


@pytest.fixture
def ax():
    return Figure(figsize=(4, 4)).add_subplot()


def test_of_many_columns_it_is_the_map_of_the_principal_components(ax):
    display = EmbeddingMapDisplay.from_embeddings(X, NAMES, ax=ax)
    pca = PCA(2).fit(X)
    np.testing.assert_allclose(display.points_, pca.transform(X))
    assert ax.get_xlabel() == f"principal component 1 ({pca.explained_variance_ratio_[0]:.0%} of variance)"
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    display.figure_.savefig(BytesIO(), format="png")


def test_two_columns_are_drawn_as_they_are(ax):
    display = EmbeddingMapDisplay.from_embeddings(X[:, 2:], NAMES, ax=ax)
    np.testing.assert_array_equal(display.points_, X[:, 2:])
    for label, scatter in zip(display.classes_, display.scatters_, strict=True):
        np.testing.assert_array_equal(scatter.get_offsets(), X[NAMES == label, 2:])


def test_another_transformer_is_fitted_as_a_copy(ax):
    flat = FirstTwo()
    display = EmbeddingMapDisplay.from_embeddings(X, Y, transformer=flat, ax=ax)
    np.testing.assert_array_equal(display.points_, X[:, :2])
    assert ax.get_xlabel() == "FirstTwo 1"
    assert not hasattr(flat, "fitted_")


def test_few_classes_have_a_legend_colours_and_markers_of_their_own(ax):
    display = EmbeddingMapDisplay.from_embeddings(X, NAMES, name="iris", ax=ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["setosa", "versicolor", "virginica"]
    assert ax.get_title() == "iris"
    colors = {tuple(s.get_facecolor()[0][:3]) for s in display.scatters_}
    shapes = {s.get_paths()[0].vertices.tobytes() for s in display.scatters_}
    assert len(colors) == len(shapes) == 3


@pytest.mark.parametrize("k", [11, 25, 100])
def test_more_classes_are_named_at_their_middle_and_told_apart_by_colour_and_marker(ax, k):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(k), 4)
    points = np.column_stack([y % 10, y // 10]) + 0.1 * rng.normal(size=(4 * k, 2))
    display = EmbeddingMapDisplay.from_embeddings(points, [f"c{i}" for i in y], ax=ax)
    assert ax.get_legend() is None
    named = {text.get_text(): np.array(text.get_position()) for text in ax.texts}
    assert len(named) == min(k, 40)
    for name, place in named.items():
        middle = [int(name[1:]) % 10, int(name[1:]) // 10]
        assert abs(place[0] - middle[0]) < 0.3
        assert abs(place[1] - middle[1]) < 2.0  # it may give way to others
    looks = {(tuple(s.get_facecolor()[0][:3]), s.get_paths()[0].vertices.tobytes()) for s in display.scatters_}
    assert len(looks) == min(k, 100)
    display.figure_.savefig(BytesIO(), format="png")


def test_names_of_classes_that_fell_together_do_not_cover_each_other(ax):
    y = np.repeat(list("abcdefghijkl"), 3)
    display = EmbeddingMapDisplay(np.random.default_rng(0).normal(scale=1e-3, size=(36, 2)), y)
    display.plot(ax)
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) and a is not b for a in boxes for b in boxes if abs(a.y0 - b.y0) < 4)


def test_without_classes_all_rows_look_the_same(ax):
    display = EmbeddingMapDisplay.from_embeddings(X, ax=ax)
    assert len(display.scatters_) == 1
    assert ax.get_legend() is None
    assert display.scatters_[0].get_facecolor()[0][:3] == pytest.approx(matplotlib.colors.to_rgb(COLORS[0]))


def test_of_an_estimator_it_is_the_map_of_its_transform_under_the_name_of_its_last_step(ax):
    model = make_pipeline(StandardScaler(), PCA(3)).fit(X)
    display = EmbeddingMapDisplay.from_estimator(model, X, NAMES, ax=ax)
    np.testing.assert_allclose(np.abs(display.points_), np.abs(model.transform(X)[:, :2]), atol=1e-9)
    assert ax.get_title() == "PCA"
    assert EmbeddingMapDisplay.from_estimator(model, X, NAMES, name="mine", ax=ax).name == "mine"


def test_keywords_reach_the_points(ax):
    display = EmbeddingMapDisplay.from_embeddings(X, NAMES, ax=ax, s=3, alpha=0.2)
    assert display.scatters_[0].get_sizes().tolist() == [3]
    assert display.scatters_[0].get_alpha() == 0.2


def test_embeddings_that_fell_together_are_drawn(ax):
    display = EmbeddingMapDisplay.from_embeddings(np.ones((5, 3)), list("aabbb"), ax=ax)
    assert (display.points_ == 0).all()
    display.figure_.savefig(BytesIO(), format="png")


def test_a_new_figure_is_made_where_no_axes_are_given():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    display = EmbeddingMapDisplay.from_embeddings(X, Y)
    assert len(plt.get_fignums()) == len(before) + 1
    plt.close(display.figure_)


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'EmbeddingMapDisplay needs matplotlib: pip install "sklearnloss\[report\]"'):
        EmbeddingMapDisplay(np.eye(2)).plot()


def test_what_makes_no_map_is_refused(ax):
    with pytest.raises(DataError, match="embeddings has one column; a map needs two"):
        EmbeddingMapDisplay.from_embeddings(X[:, :1], ax=ax)
    with pytest.raises(DataError, match="embeddings has one row"):
        EmbeddingMapDisplay.from_embeddings(X[:1], ax=ax)
    with pytest.raises(DataError, match="points must have two columns, got 3"):
        EmbeddingMapDisplay.from_embeddings(X, transformer=PCA(3), ax=ax)
    with pytest.raises(DataError, match="points and y must have the same number of rows, got 150 and 149"):
        EmbeddingMapDisplay.from_embeddings(X, Y[1:], ax=ax)
    with pytest.raises(TaskError, match="str has no transform"):
        EmbeddingMapDisplay.from_estimator("PCA", X, Y, ax=ax)
