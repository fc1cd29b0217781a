import numpy as np
import pytest
from scipy.spatial.distance import cdist

from sklearnloss.strategies.probcover import probcover


def greedy(pool, labeled, n, radius):
    near = cdist(pool, pool) <= radius
    covered = (cdist(pool, labeled) <= radius).any(axis=1) if len(labeled) else np.zeros(len(pool), dtype=bool)
    chosen = []
    while len(chosen) < n and not covered.all():
        gain = [-1 if i in chosen else int((near[i] & ~covered).sum()) for i in range(len(pool))]
        chosen.append(int(np.argmax(gain)))
        covered |= near[chosen[-1]]
    return chosen


def ask(pool, labeled, n, seed=0, **params):
    return probcover(pool, embeddings_labeled=labeled, n=n, rng=np.random.default_rng(seed), **params).tolist()


@pytest.mark.parametrize("columns", [2, 12])  # by a tree, and by products
@pytest.mark.parametrize("labels", [0, 5])
def test_takes_the_ball_with_most_rows_that_are_not_covered(columns, labels):
    rng = np.random.default_rng(0)
    pool, labeled = rng.normal(size=(80, columns)), rng.normal(size=(labels, columns))
    radius = np.quantile(cdist(pool, pool), 0.08)
    expected = greedy(pool, labeled, 10, radius)
    assert len(expected) == 10
    assert ask(pool, labeled, 10, radius=radius) == expected


def test_the_usual_radius_is_the_median_distance_to_the_tenth_neighbor():
    pool = np.random.default_rng(0).normal(size=(80, 3))
    radius = np.median(np.sort(cdist(pool, pool), axis=1)[:, 10])
    assert ask(pool, pool[:0], 8) == greedy(pool, pool[:0], 8, radius * (1 + 1e-12))


def test_asks_any_row_once_everything_is_covered():
    pool = np.random.default_rng(0).normal(size=(30, 2)) * 0.01
    found = [ask(pool, pool[:0], 6, seed, radius=1.0) for seed in (0, 1)]
    assert found[0][0] == found[1][0] == 0
    assert found[0] != found[1]
    assert all(len(set(rows)) == 6 for rows in found)


def test_rows_near_labels_come_last():
    pool = np.array([[0.0], [0.1], [0.2], [5.0], [9.0]])
    assert ask(pool, np.array([[0.1]]), 2, radius=0.5) == [3, 4]


@pytest.mark.parametrize("columns", [1, 8])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_equal_rows_cover_each_other(columns, offset):
    kinds = np.random.default_rng(0).normal(size=(4, columns)) + offset
    pool = np.repeat(kinds, [40, 30, 20, 15], axis=0)
    found = ask(pool, pool[:0], 4)
    assert found == [0, 40, 70, 90]
    assert sorted(ask(np.ones((12, columns)), pool[:0], 12)) == list(range(12))


def test_of_a_large_pool_a_sample_is_covered():
    pool = np.random.default_rng(0).normal(size=(200, 2))
    sample = np.sort(np.random.default_rng(0).choice(200, 50, replace=False))
    expected = sample[greedy(pool[sample], pool[:0], 5, 0.5)].tolist()
    assert ask(pool, pool[:0], 5, radius=0.5, max_rows=50) == expected
    assert len(set(ask(pool, pool[:0], 60, max_rows=50))) == 60


def test_a_learner_asks_by_its_name(asked):
    found = asked("probcover", "digits")
    radius = np.median(np.sort(cdist(found.pool, found.pool), axis=1)[:, 10]) * (1 + 1e-12)
    expected = greedy(found.pool, found.X[found.seen], 8, radius)
    assert found.rows[: len(expected)].tolist() == found.rest[expected].tolist()
    found.teach()
