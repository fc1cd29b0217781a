import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from sklearnloss import Metric
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.recall_at_k import recall_at_k


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_is_the_formula_written_with_loops(embedded, naive, k, distance):
    X, y = embedded(k)
    expected = naive(lambda hits, r: any(hits[:k]), X, y, None, None, distance)
    assert recall_at_k(X, y, k=k, distance=distance) == pytest.approx(expected)
    G, g = embedded(k + 10, n=25)
    expected = naive(lambda hits, r: any(hits[:k]), X, y, G, g, distance)
    assert recall_at_k(X, y, G, g, k=k, distance=distance) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 3, 6, 10])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ties_are_averaged_over_their_orders(naive, k, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.integers(4, size=(14, 1)).astype(float), rng.integers(4, size=14)
    expected = naive(lambda hits, r: any(hits[:k]), X[:4], y[:4], X[4:], y[4:], "euclidean")
    assert recall_at_k(X[:4], y[:4], X[4:], y[4:], k=k, distance="euclidean") == pytest.approx(expected)


def test_of_embeddings_that_fell_together_it_is_the_chance_to_draw_one_of_the_class():
    y = np.repeat([0, 1], 3)
    # of the five others two are of the class: three in ten draws of two miss both
    assert recall_at_k(np.ones((6, 2)), y, k=1) == pytest.approx(2 / 5)
    assert recall_at_k(np.ones((6, 2)), y, k=2) == pytest.approx(1 - 3 / 10)
    assert recall_at_k(np.ones((6, 2)), y, k=4) == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_of_one_neighbour_it_is_the_accuracy_of_the_nearest_neighbour_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(80, 4)), rng.integers(3, size=80)
    model = KNeighborsClassifier(1).fit(X[40:], y[40:])
    assert recall_at_k(X[:40], y[:40], X[40:], y[40:], distance="euclidean") == model.score(X[:40], y[:40])


def test_agrees_with_the_precision_at_one_of_pytorch_metric_learning(labelled):
    for (label, gallery, labels), value in zip(labelled, [0, 1, 0, 1, 0], strict=True):
        assert recall_at_k([[0.0]], [label], gallery, labels, distance="euclidean") == value


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_neither_rotation_nor_scale_nor_the_order_of_rows_matter(embedded, rotation, distance):
    X, y = embedded(0)
    order = np.random.default_rng(0).permutation(len(y))
    expected = recall_at_k(X, y, k=3, distance=distance)
    assert recall_at_k(2.5 * X[order] @ rotation, y[order], k=3, distance=distance) == pytest.approx(expected)


def test_grows_with_k_up_to_one(embedded):
    X, y = embedded(1)
    values = [recall_at_k(X, y, k=k) for k in range(1, 40)]
    assert np.diff(values).min() >= 0
    assert values[0] < values[-1] == 1


def test_is_found_by_name(embedded):
    X, y = embedded(1)
    assert Metric("recall_at_k", k=4).choose().build()(X, y) == recall_at_k(X, y, k=4)


def test_more_neighbours_than_there_are_is_refused(embedded):
    X, y = embedded(0)
    with pytest.raises(DataError, match="metric 'recall_at_k': k must be at most the 39 other rows, got 40"):
        recall_at_k(X, y, k=40)
    with pytest.raises(DataError, match="k must be at most the 5 rows in the gallery, got 6"):
        recall_at_k(X, y, X[:5], [0, 1, 0, 1, 1], k=6)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "one"])
def test_a_k_that_counts_nothing_is_refused(k):
    with pytest.raises(ParameterError, match=r"k must be an int in \[1, inf\), got"):
        recall_at_k([[0.0], [1.0]], [0, 1], k=k)
