"""Embeddings that overlap, and retrieval written with plain loops."""

from itertools import combinations

import numpy as np
import pytest


@pytest.fixture
def embedded():
    """Return embeddings of four classes that overlap, of 3 columns, and their labels; some rows are alone or double."""

    def make(seed, n=40):
        rng = np.random.default_rng(seed)
        y = np.append(rng.integers(4, size=n - 1), 9)  # the last has a class of its own
        embeddings = rng.normal(size=(n, 3)) + 1.2 * np.eye(10, 3)[y]
        embeddings[5] = embeddings[4]
        return embeddings, y

    return make


def far(query, row, distance):
    """Return the distance of two rows, by the formula."""
    if distance == "euclidean":
        return round(float(np.sqrt(sum((a - b) ** 2 for a, b in zip(query, row, strict=True)))), 10)
    lengths = np.sqrt(sum(a * a for a in query)) * np.sqrt(sum(b * b for b in row))
    return round(1 - sum(a * b for a, b in zip(query, row, strict=True)) / lengths if lengths else 1.0, 10)


def mean_over_queries(score, embeddings, y, gallery, gallery_labels, distance):
    """Return the mean of ``score(hits, r)``; hits of the gallery by distance, averaged over the orders within ties."""
    itself = gallery is None
    rows, labels = (embeddings, y) if itself else (gallery, gallery_labels)
    values = []
    for i, query in enumerate(embeddings):
        others = [
            (far(query, row, distance), labels[j] == y[i]) for j, row in enumerate(rows) if not (itself and i == j)
        ]
        r = sum(hit for _, hit in others)
        if r:
            values.append(np.mean([score(hits, r) for hits in _orders(others)]))
    return np.mean(values)


def _orders(others):
    """Return whether each is a hit, the nearest first, in every order of those that are equally far."""
    orders = [[]]
    for distance in sorted({d for d, _ in others}):
        tied = [hit for d, hit in others if d == distance]
        places = combinations(range(len(tied)), sum(tied))  # of the hits; each as likely
        tails = [[i in chosen for i in range(len(tied))] for chosen in places]
        orders = [head + tail for head in orders for tail in tails]
    return orders


@pytest.fixture
def naive():
    return mean_over_queries


@pytest.fixture
def rotation():
    """Return an orthogonal matrix of 3 columns."""
    return np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]


@pytest.fixture
def labelled():
    """Return the neighbours of the tests of pytorch-metric-learning: five queries, and galleries with labels by rank.

    Its ``tests/utils/test_calculate_accuracies.py`` gives, for each query, the labels of its five nearest and how many
    rows of its class the whole gallery has; those that are not among the five are put behind them.
    """
    nearest = [[0, 1, 1, 2, 2], [1, 0, 1, 1, 3], [4, 4, 4, 4, 2], [3, 1, 3, 1, 3], [0, 0, 4, 2, 2]]
    counts = {1: 3, 2: 5, 3: 4, 4: 5}
    cases = []
    for label, row in zip([1, 1, 2, 3, 4], nearest, strict=True):
        labels = row + [label] * (counts[label] - row.count(label))
        cases.append((label, np.arange(1.0, len(labels) + 1)[:, None], labels))
    return cases
