import numpy as np
import pytest
from sklearn.datasets import make_blobs

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.nmi import nmi


def naive(classes, clusters):
    """Return the mutual information divided by the mean entropy, by loops."""
    n = len(classes)

    def entropy(labels):
        return -sum(m / n * np.log(m / n) for m in np.unique(labels, return_counts=True)[1])

    joint = [(a, b) for a, b in zip(classes, clusters, strict=True)]
    together = entropy([f"{a} {b}" for a, b in joint])
    return 2 * (entropy(classes) + entropy(clusters) - together) / (entropy(classes) + entropy(clusters))


def test_clusters_that_are_the_classes_have_one():
    X, y = make_blobs(90, centers=3, cluster_std=0.3, random_state=0)
    assert nmi(X, y, distance="euclidean") == pytest.approx(1)


def test_two_clusters_of_four_classes_have_what_the_formula_says():
    X = np.repeat([0.0, 0.1, 10.0, 10.1], [5, 6, 7, 8])[:, None]
    y = np.repeat(list("abcd"), [5, 6, 7, 8])
    expected = naive(y, np.repeat([0, 1], [11, 15]))
    assert nmi(X, y, n_clusters=2, distance="euclidean") == pytest.approx(expected)


def test_cosine_clusters_directions_and_euclidean_places():
    rng = np.random.default_rng(0)
    angle, length = np.repeat([0.3, 1.3], 40), np.tile([1.0, 30.0], 40)
    X = length[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(scale=0.01, size=(80, 2))
    by_angle, by_length = (angle > 1).astype(int), (length > 1).astype(int)
    assert nmi(X, by_angle) == pytest.approx(1)
    assert nmi(X[length > 1][:10], by_angle[length > 1][:10] + np.arange(10) % 2, n_init=1) < 1
    assert nmi(X, by_length) < 0.1
    assert nmi(X, by_angle, distance="euclidean") < nmi(X, by_angle)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_embeddings_that_fell_together_have_zero_and_warn_of_nothing(value):
    assert nmi(np.full((20, 3), value), np.arange(20) % 4) == pytest.approx(0)


def test_the_seed_decides_and_neither_rotation_nor_order_do(embedded, rotation):
    X, y = make_blobs(90, centers=3, cluster_std=1.0, n_features=3, random_state=0)
    assert nmi(X, y, random_state=3) == nmi(X, y, random_state=3)
    order = np.random.default_rng(0).permutation(90)
    assert nmi(X[order] @ rotation, y[order]) == pytest.approx(nmi(X, y))
    X, y = embedded(0)
    assert len({nmi(X, y, n_init=1, random_state=seed) for seed in range(10)}) > 1


def test_what_cannot_be_clustered_is_refused():
    with pytest.raises(DataError, match="y has one class"):
        nmi([[0.0], [1.0]], [1, 1])
    with pytest.raises(DataError, match="n_clusters must be at most the 2 rows, got 3"):
        nmi([[0.0], [1.0]], [0, 1], n_clusters=3)
    with pytest.raises(ParameterError, match=r"n_init must be an int in \[1, inf\), got 0"):
        nmi([[0.0], [1.0]], [0, 1], n_init=0)
    with pytest.raises(ParameterError, match="distance must be one of"):
        nmi([[0.0], [1.0]], [0, 1], distance="dot")
