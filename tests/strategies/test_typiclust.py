import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs

from sklearnloss.strategies.typiclust import typiclust

SIZES = (60, 40, 30, 20, 10)


@pytest.fixture
def blobs():
    """Five clusters that k-means finds from any start, in the order of their sizes."""
    centers = np.array([[0.0, 0], [100, 0], [0, 100], [100, 100], [300, 300]])
    return make_blobs(SIZES, centers=centers, cluster_std=1.0, shuffle=False, random_state=0)


def ask(pool, labeled, n, seed=0, **params):
    return typiclust(pool, embeddings_labeled=labeled, n=n, rng=np.random.default_rng(seed), **params).tolist()


def most_typical(rows, q):
    distance = np.sort(cdist(rows, rows), axis=1)[:, 1 : q + 1].mean(axis=1)
    return int(distance.argmin())


@pytest.mark.parametrize("neighbors", [3, 20])
def test_takes_the_most_typical_row_of_each_cluster_the_largest_first(blobs, neighbors):
    X, y = blobs
    expected = [int(np.flatnonzero(y == c)[most_typical(X[y == c], min(neighbors, SIZES[c] - 1))]) for c in range(5)]
    assert ask(X, X[:0], 5, n_neighbors=neighbors) == expected


def test_clusters_with_a_label_come_after_those_without(blobs):
    X, y = blobs
    labeled = np.isin(np.arange(160), [0, 60])  # a label in each of the two largest
    pool, classes = X[~labeled], y[~labeled]
    found = ask(pool, X[labeled], 3)
    assert classes[found].tolist() == [2, 3, 4]


def test_clusters_are_as_many_as_labels_will_be_and_at_most_so_many(blobs):
    X, y = blobs
    found = ask(X, X[:0], 5, max_clusters=2)
    assert sorted(y[found].tolist()) == list(range(5))  # never fewer than are wanted
    again = ask(X[5:], X[:5], 3, max_clusters=3)
    assert len(set(again)) == 3


def test_every_row_is_asked_once_though_all_are_equal_or_each_is_a_cluster(blobs):
    X, _ = blobs
    equal = np.repeat(X[:1], 30, axis=0)
    assert sorted(ask(equal, equal[:0], 30)) == list(range(30))
    assert sorted(ask(X[:60], X[:0], 60)) == list(range(60))


def test_the_largest_cluster_comes_again_once_each_has_a_label():
    pool = np.array([[0.0], [1.0], [1.0], [1.0], [1.5], [3.5]])  # of four different rows no more clusters are found
    found = ask(pool, pool[:0], 5)
    assert [row in (1, 2, 3) for row in found] == [True, False, False, False, True]


def test_many_clusters_are_found_in_small_batches_and_without_a_word():
    X = np.random.default_rng(0).normal(size=(400, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ask(X, X[:0], 80)
    assert len(set(found)) == 80


def test_the_first_labels_of_digits_are_of_more_classes_than_random_rows(asked):
    found = asked("typiclust", "digits")
    found.teach()
    shares = []
    for seed in range(3):
        rows = ask(found.X, found.X[:0], 10, seed)
        at_random = [len(set(found.y[np.random.default_rng(s).choice(300, 10)].tolist())) for s in range(100)]
        shares.append(len(set(found.y[rows].tolist())) - np.mean(at_random))
    assert all(share > 0 for share in shares)
