import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering

from sklearnloss.strategies.cluster_margin import cluster_margin
from sklearnloss.strategies.margin import margin


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(3), size=200), rng.normal(size=(200, 2))


def test_takes_from_clusters_in_turn_the_smallest_first(table):
    proba, embeddings = table
    n = 12
    found = cluster_margin(proba, embeddings=embeddings, n=n, rng=np.random.default_rng(0), factor=5.0)
    candidates = np.argsort(-margin(proba))[: 5 * n]
    labels = AgglomerativeClustering(n, linkage="average").fit_predict(embeddings[candidates])
    of_row = dict(zip(candidates.tolist(), labels.tolist(), strict=True))
    assert len({of_row[row] for row in found.tolist()}) == n  # as many clusters as rows: one of each
    sizes = np.bincount(labels)
    assert [sizes[of_row[row]] for row in found.tolist()] == sorted(sizes.tolist())


def test_large_clusters_give_what_small_ones_lack():
    places = np.repeat([[0.0], [10.0]], [3, 30], axis=0)  # equal rows: two clusters, whatever is asked for
    for seed in range(3):
        found = cluster_margin(np.full((33, 2), 0.5), embeddings=places, n=10, rng=np.random.default_rng(seed))
        assert (found < 3).sum() == 3
        assert (found[:6] < 3).tolist() == [True, False] * 3


def test_rows_of_a_cluster_are_drawn_as_often(table):
    places = np.repeat([[0.0], [10.0]], [5, 5], axis=0)
    rng = np.random.default_rng(0)
    counts = np.zeros(10)
    for _ in range(1000):
        counts[cluster_margin(np.full((10, 2), 0.5), embeddings=places, n=2, rng=rng)] += 1
    assert counts[:5].sum() == counts[5:].sum() == 1000
    assert np.abs(counts / 1000 - 0.2).max() < 4 * np.sqrt(0.2 * 0.8 / 1000)


@pytest.mark.parametrize("params", [{"factor": 1.0}, {"max_rows": 1}, {"max_rows": 20}])
def test_as_many_candidates_as_rows_leave_the_smallest_margins(table, params):
    proba, embeddings = table
    found = cluster_margin(proba, embeddings=embeddings, n=20, rng=np.random.default_rng(0), **params)
    assert set(found.tolist()) == set(np.argsort(-margin(proba))[:20].tolist())


def test_never_asks_a_row_that_is_no_candidate(table):
    proba, embeddings = table
    found = cluster_margin(proba, embeddings=embeddings, n=10, rng=np.random.default_rng(0), factor=2.5)
    assert set(found.tolist()) <= set(np.argsort(-margin(proba))[:25].tolist())


def test_a_learner_asks_among_small_margins(asked):
    found = asked("cluster_margin", "digits")
    first = found.rest[np.argsort(-margin(found.fitted.predict_proba(found.pool)))[:80]]
    assert set(found.rows.tolist()) <= set(first.tolist())
    found.teach()
