import numpy as np
import pytest

from sklearnloss.metrics.r_precision import r_precision
from sklearnloss.metrics.recall_at_k import recall_at_k


def precision(hits, r):
    return sum(hits[:r]) / r


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(embedded, naive, seed, distance):
    X, y = embedded(seed)
    assert r_precision(X, y, distance=distance) == pytest.approx(naive(precision, X, y, None, None, distance))
    G, g = embedded(seed + 10, n=25)
    assert r_precision(X, y, G, g, distance=distance) == pytest.approx(naive(precision, X, y, G, g, distance))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ties_are_averaged_over_their_orders(naive, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.integers(5, size=(14, 1)).astype(float), rng.integers(3, size=14)
    expected = naive(precision, X[:4], y[:4], X[4:], y[4:], "euclidean")
    assert r_precision(X[:4], y[:4], X[4:], y[4:], distance="euclidean") == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_embeddings_that_fell_together_are_worth_the_share_of_the_class(value):
    y = np.repeat([0, 1], [4, 16])
    expected = (4 * (3 / 19) + 16 * (15 / 19)) / 20
    assert r_precision(np.full((20, 3), value), y) == pytest.approx(expected)


def test_agrees_with_pytorch_metric_learning(labelled):
    for (label, gallery, labels), value in zip(labelled, [2 / 3, 2 / 3, 1 / 5, 2 / 4, 1 / 5], strict=True):
        assert r_precision([[0.0]], [label], gallery, labels, distance="euclidean") == pytest.approx(value)


def test_of_classes_of_two_rows_it_is_the_recall_at_one(embedded):
    X, _ = embedded(0)
    assert r_precision(X, np.arange(40) // 2) == pytest.approx(recall_at_k(X, np.arange(40) // 2))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_neither_rotation_nor_scale_nor_the_order_of_rows_matter(embedded, rotation, distance):
    X, y = embedded(0)
    order = np.random.default_rng(0).permutation(len(y))
    expected = r_precision(X, y, distance=distance)
    assert r_precision(2.5 * X[order] @ rotation, y[order], distance=distance) == pytest.approx(expected)
