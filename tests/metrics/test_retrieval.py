import sys
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics._axes import RIGHT, WRONG
from sklearnloss.metrics.retrieval import RetrievalDisplay

matplotlib.use("Agg")

X, Y = load_digits(return_X_y=True)
X, Y = X[:200], Y[:200]


@pytest.fixture
def ax():
    return Figure(figsize=(6, 4)).add_subplot()


def test_shows_the_queries_with_their_nearest_of_the_others(ax):
    chosen = [3, 77, 150]
    display = RetrievalDisplay.from_embeddings(
        X, Y, X, image_shape=(8, 8), queries=chosen, k=5, distance="euclidean", ax=ax
    )
    nearest = NearestNeighbors(n_neighbors=5).fit(X).kneighbors()[1][chosen]
    np.testing.assert_array_equal(display.queries, X[chosen].reshape(3, 8, 8))
    np.testing.assert_array_equal(display.neighbors, X[nearest].reshape(3, 5, 8, 8))
    np.testing.assert_array_equal(display.hits_, Y[nearest] == Y[chosen][:, None])


def test_each_image_is_drawn_once_the_query_on_the_left_the_nearest_beside_it(ax):
    display = RetrievalDisplay.from_embeddings(X, Y, X, image_shape=(8, 8), queries=2, k=3, ax=ax)
    assert len(ax.images) == 2 * 4
    for i in range(2):
        row = ax.images[4 * i : 4 * i + 4]
        assert np.diff([image.get_extent()[0] for image in row]).min() > 1
        np.testing.assert_array_equal(row[0].get_array(), display.queries[i])
        for j in range(3):
            np.testing.assert_array_equal(row[1 + j].get_array(), display.neighbors[i, j])
    assert len({image.get_clim() for image in ax.images}) == 1
    display.figure_.savefig(BytesIO(), format="png")


def test_right_and_wrong_ones_differ_by_frame_and_by_mark(ax):
    display = RetrievalDisplay.from_embeddings(X, Y, X, image_shape=(8, 8), queries=8, k=8, ax=ax)
    assert 0 < display.hits_.mean() < 1
    frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    words = [text for text in ax.texts if text.get_text()[0] in "✓✗"]
    colors = [tuple(frame.get_edgecolor()[:3]) for i, frame in enumerate(frames) if i % 9]
    for hit, color, word in zip(display.hits_.ravel(), colors, words, strict=True):
        assert color == pytest.approx(matplotlib.colors.to_rgb(RIGHT if hit else WRONG))
        assert word.get_text()[0] == ("✓" if hit else "✗")
    assert [int(w.get_text()[2:]) for w in words] == display.neighbor_labels.ravel().tolist()


def test_the_seed_draws_the_queries(ax):
    one, two, other = (
        RetrievalDisplay.from_embeddings(X, Y, X, image_shape=(8, 8), queries=5, random_state=seed, ax=ax)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.queries, two.queries)
    assert (one.queries != other.queries).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colours_are_drawn_as_colours(ax, dtype, channels):
    images = np.random.default_rng(0).integers(256, size=(30, 4, 6, channels)).astype(dtype)
    flat = images.reshape(30, -1)
    display = RetrievalDisplay.from_embeddings(flat, np.arange(30) % 3, images, queries=2, k=4, ax=ax)
    again = RetrievalDisplay.from_embeddings(
        flat, np.arange(30) % 3, flat, image_shape=(4, 6, channels), queries=2, k=4, ax=ax
    )
    np.testing.assert_array_equal(display.neighbors, again.neighbors)
    assert display.queries.shape == ((2, 4, 6) if channels == 1 else (2, 4, 6, channels))
    if channels > 1 and dtype is np.float64:
        assert display.queries.min() >= 0
        assert display.queries.max() <= 1
    display.figure_.savefig(BytesIO(), format="png")


def test_of_an_estimator_it_shows_rows_by_what_it_makes_of_them(ax):
    model = make_pipeline(StandardScaler(), PCA(5)).fit(X)
    display = RetrievalDisplay.from_estimator(model, X, Y, image_shape=(8, 8), ax=ax)
    same = RetrievalDisplay.from_embeddings(model.transform(X), Y, X, image_shape=(8, 8), ax=ax)
    np.testing.assert_array_equal(display.neighbors, same.neighbors)
    assert ax.get_title() == ""
    assert display.name == "PCA"


def test_a_title_and_names_of_classes_are_written(ax):
    RetrievalDisplay.from_embeddings(
        X,
        np.array(["odd" if c % 2 else "even" for c in Y]),
        X,
        image_shape=(8, 8),
        queries=[0],
        k=1,
        name="digits",
        ax=ax,
    )
    assert ax.get_title() == "digits"
    assert ax.texts[0].get_text() == "even"


def test_a_new_figure_is_as_large_as_its_strips():
    import matplotlib.pyplot as plt

    few = RetrievalDisplay.from_embeddings(X, Y, X, image_shape=(8, 8), queries=2, k=3)
    many = RetrievalDisplay.from_embeddings(X, Y, X, image_shape=(8, 8), queries=4, k=6)
    assert (many.figure_.get_size_inches() > few.figure_.get_size_inches()).all()
    plt.close(few.figure_)
    plt.close(many.figure_)


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'RetrievalDisplay needs matplotlib: pip install "sklearnloss\[report\]"'):
        RetrievalDisplay.from_embeddings(X, Y, X, image_shape=(8, 8))


@pytest.mark.parametrize(
    ("images", "options", "error", "message"),
    [
        (X, {}, DataError, r"images have shape \(200, 64\); give image_shape=\(height, width\)"),
        (X, {"image_shape": (8, 9)}, DataError, r"rows of 64 columns are no images of shape \(8, 9\)"),
        (X, {"image_shape": (64,)}, DataError, r"no images of shape \(64,\)"),
        (X[1:], {"image_shape": (8, 8)}, DataError, "embeddings and images must have the same number of rows"),
        (X.reshape(200, 8, 4, 2), {}, DataError, r"or 1, 3 or 4 channels behind, got \(200, 8, 4, 2\)"),
        (np.where(X == 16, np.nan, X), {"image_shape": (8, 8)}, DataError, "images must be finite"),
        (X, {"image_shape": (8, 8), "k": 200}, ParameterError, "k must be at most the 199 other rows, got 200"),
        (X, {"image_shape": (8, 8), "queries": 201}, ParameterError, "queries must be at most the 200 rows, got 201"),
        (X, {"image_shape": (8, 8), "queries": [3, 200]}, ParameterError, r"or rows among 0\.\.199"),
        (X, {"image_shape": (8, 8), "queries": []}, ParameterError, r"or rows among 0\.\.199"),
        (X, {"image_shape": (8, 8), "queries": 0}, ParameterError, r"queries must be an int in \[1, inf\), got 0"),
    ],
)
def test_what_shows_no_images_is_refused(ax, images, options, error, message):
    with pytest.raises(error, match=message):
        RetrievalDisplay.from_embeddings(X, Y, images, ax=ax, **options)
