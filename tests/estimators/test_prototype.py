import pickle

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline

from sklearnloss import PrototypeClassifier
from sklearnloss.exceptions import DataError

METRICS = ["cosine", "euclidean", "squared_euclidean"]
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def far(row, mean, metric):
    """Return a distance, by the formula."""
    if metric == "cosine":
        return 1 - row @ mean / (np.linalg.norm(row) * np.linalg.norm(mean))
    return np.sum((row - mean) ** 2) ** (0.5 if metric == "euclidean" else 1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
def test_probabilities_are_the_formula_written_with_loops(metric, temperature):
    rows = X / np.linalg.norm(X, axis=1, keepdims=True) if metric == "cosine" else X
    means = [rows[Y == c].mean(axis=0) for c in range(3)]
    expected = softmax([[-far(x, m, metric) / temperature for m in means] for x in X], axis=1)
    model = PrototypeClassifier(metric, temperature=temperature).fit(X, NAMES)
    np.testing.assert_allclose(model.predict_proba(X), expected)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), expected)
    np.testing.assert_array_equal(model.predict(X), model.classes_[expected.argmax(axis=1)])
    np.testing.assert_allclose(softmax(model.decision_function(X), axis=1), expected)


@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean"])
def test_predicts_as_the_nearest_centroid_of_scikit_learn(metric):
    model, peer = PrototypeClassifier(metric).fit(X, NAMES), NearestCentroid().fit(X, NAMES)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))
    np.testing.assert_allclose(model.prototypes_, peer.centroids_)


def test_of_normal_classes_with_one_variance_squared_distances_give_the_posterior():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=100_000)
    rows = (2.0 * y + rng.normal(size=y.shape))[:, None]
    model = PrototypeClassifier("squared_euclidean", temperature=2.0).fit(rows, y)  # twice the variance
    assert model.predict_proba([[1.5]])[0, 1] == pytest.approx(1 / (1 + np.exp(-1)), abs=0.01)
    near = np.abs(rows[:, 0] - 1.5) < 0.05
    assert y[near].mean() == pytest.approx(model.predict_proba([[1.5]])[0, 1], abs=0.03)


def test_of_two_classes_the_decision_is_the_difference():
    rows, y = X[Y < 2], Y[Y < 2]
    model = PrototypeClassifier(temperature=0.1).fit(rows, y)
    log = model.predict_log_proba(rows)
    np.testing.assert_allclose(model.decision_function(rows), log[:, 1] - log[:, 0])


@pytest.mark.parametrize("metric", METRICS)
def test_a_weight_is_a_repetition_and_weight_zero_no_row(metric):
    times = np.random.default_rng(0).integers(0, 3, size=150)
    weighted = PrototypeClassifier(metric).fit(X, Y, sample_weight=times)
    repeated = PrototypeClassifier(metric).fit(np.repeat(X, times, axis=0), np.repeat(Y, times))
    np.testing.assert_allclose(weighted.prototypes_, repeated.prototypes_)
    without = PrototypeClassifier(metric).fit(X, NAMES, sample_weight=(NAMES != "setosa").astype(float))
    assert without.classes_.tolist() == ["versicolor", "virginica"]


def test_cosines_see_no_length_and_a_row_of_zeros_is_as_far_from_all():
    scale = np.random.default_rng(0).uniform(0.1, 10, size=(150, 1))
    one, two = PrototypeClassifier().fit(X, Y), PrototypeClassifier().fit(scale * X, Y)
    np.testing.assert_allclose(one.prototypes_, two.prototypes_)
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(scale * X))
    np.testing.assert_allclose(one.predict_proba(np.zeros((1, 4))), 1 / 3)


def test_temperature_changes_how_sure_it_is_and_no_prediction():
    cold, warm = (PrototypeClassifier(temperature=t).fit(X, Y) for t in (0.01, 10.0))
    np.testing.assert_array_equal(cold.predict(X), warm.predict(X))
    assert cold.predict_proba(X).max(axis=1).mean() > warm.predict_proba(X).max(axis=1).mean() + 0.3


def test_far_rows_have_finite_logarithms():
    model = PrototypeClassifier("squared_euclidean", temperature=1e-3).fit(X, Y)
    assert np.isfinite(model.predict_log_proba(1e3 * X)).all()


def test_works_in_a_pipeline_and_a_grid_and_is_pickled_and_cloned():
    rows, y = make_blobs(90, centers=3, n_features=5, random_state=0)
    grid = {"prototypeclassifier__metric": METRICS, "prototypeclassifier__temperature": [0.1, 1]}
    search = GridSearchCV(make_pipeline(PCA(2), PrototypeClassifier()), grid, scoring="neg_log_loss", cv=3).fit(rows, y)
    assert search.best_score_ > -0.1
    model = PrototypeClassifier("euclidean", temperature=2.0).fit(rows, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(rows), model.predict_proba(rows))
    assert repr(clone(model)) == "PrototypeClassifier(metric='euclidean', temperature=2.0)"


def test_what_it_cannot_learn_is_refused():
    with pytest.raises(
        DataError, match=r"needs two classes at least that have a row of positive weight, got one class: \[1\]"
    ):
        PrototypeClassifier().fit(X, np.ones(150, dtype=int))
    with pytest.raises(ValueError, match="'metric' parameter of PrototypeClassifier must be a str among"):
        PrototypeClassifier("manhattan").fit(X, Y)
    for temperature in (0, -1.0, "cold"):
        with pytest.raises(ValueError, match="'temperature' parameter of PrototypeClassifier must be a float in"):
            PrototypeClassifier(temperature=temperature).fit(X, Y)
