"""TypiClust."""

from typing import Annotated

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.neighbors import NearestNeighbors

from sklearnloss.component import strategy
from sklearnloss.constraints import PositiveInt, Search

__all__ = ["typiclust"]


@strategy("typiclust", unit="batch")
def typiclust(
    embeddings: np.ndarray,
    *,
    embeddings_labeled: np.ndarray,
    n: int,
    rng: np.random.Generator,
    n_neighbors: Annotated[PositiveInt, Search(3, 50)] = 20,
    max_clusters: Annotated[PositiveInt, Search(10, 1000)] = 500,
) -> np.ndarray:
    r"""Ask the most typical row of each large cluster that has no label yet: for the first labels of all.

    It looks at no model. With few labels it is ahead of uncertainty, with many behind.

    Parameters
    ----------
    embeddings : array of shape (n_pool, d)
        Embeddings of the pool.
    embeddings_labeled : array of shape (m, d)
        Those of the rows with labels.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What seeds the clustering.
    n_neighbors : int in [1, inf), default=20
        Neighbors whose mean distance tells how typical a row is; in a small cluster fewer.
    max_clusters : int in [1, inf), default=500
        Clusters at most, but not fewer than ``n`` are wanted.

    Returns
    -------
    array of shape (n,)
        Row numbers, in the order of asking.

    Notes
    -----
    All rows are clustered by k-means into as many clusters as there will be labels. Of the clusters with the fewest
    labels the largest comes first, and in it the row with the largest typicality

    .. math:: t(x) = \Big( \frac1q \sum_{j \in \mathrm{NN}_q(x)} \lVert x - x_j \rVert \Big)^{-1}

    among the rows of the cluster.

    References
    ----------
    .. [1] Hacohen, Dekel, Weinshall. "Active learning on a budget: opposite strategies suit high and low budgets". ICML
       2022.

    Examples
    --------
    >>> pool = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [9.0]])
    >>> typiclust(pool, embeddings_labeled=pool[:0], n=2, rng=np.random.default_rng(0)).tolist()
    [4, 1]
    """
    labeled = len(embeddings_labeled)
    rows = np.concatenate([embeddings, embeddings_labeled])
    k = min(len(rows), max(n, min(labeled + n, max_clusters)))
    cluster = _clusters(rows, k, int(rng.integers(2**31)))
    has_label = np.arange(len(rows)) >= len(embeddings)
    known = np.bincount(cluster[has_label], minlength=k)
    free = [np.flatnonzero((cluster == c) & ~has_label) for c in range(k)]
    size = np.bincount(cluster, minlength=k)
    chosen: list[int] = []
    while len(chosen) < n:
        open_ = [c for c in range(k) if len(free[c])]
        c = min(open_, key=lambda c: (known[c], -size[c]))
        best = free[c][_typicality(rows[free[c]], n_neighbors).argmax()]
        chosen.append(int(best))
        free[c] = free[c][free[c] != best]
        known[c] += 1
    return np.array(chosen)


def _clusters(rows: np.ndarray, k: int, seed: int) -> np.ndarray:
    if len(rows) == k:
        return np.arange(k)
    means = KMeans(k, n_init=1, random_state=seed) if k <= 50 else MiniBatchKMeans(k, n_init=1, random_state=seed)
    distinct = len(np.unique(rows, axis=0))
    if distinct < k:
        means.set_params(n_clusters=distinct)
    return np.asarray(means.fit_predict(rows))


def _typicality(rows: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Return the reciprocal of the mean distance to the neighbors; of rows alone or all equal the same for each."""
    q = min(n_neighbors, len(rows) - 1)
    if q < 1:
        return np.ones(len(rows))
    distance = NearestNeighbors(n_neighbors=q).fit(rows).kneighbors()[0].mean(axis=1)
    return np.asarray(1 / (distance + 1e-12))
