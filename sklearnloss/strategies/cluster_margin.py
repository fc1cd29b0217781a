"""Cluster-margin."""

from typing import Annotated

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from sklearnloss.component import strategy
from sklearnloss.constraints import AtLeastOne, PositiveInt, Search
from sklearnloss.functional.top_two import lead

__all__ = ["cluster_margin"]


@strategy("cluster_margin", unit="batch")
def cluster_margin(
    proba: np.ndarray,
    *,
    embeddings: np.ndarray,
    n: int,
    rng: np.random.Generator,
    factor: AtLeastOne = 10.0,
    max_rows: Annotated[PositiveInt, Search(10, 10_000)] = 4000,
) -> np.ndarray:
    r"""Ask rows with a small margin from as many clusters as there are.

    Parameters
    ----------
    proba : array of shape (n_pool, k)
        Probabilities of the classes.
    embeddings : array of shape (n_pool, d)
        Embeddings that are clustered.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws rows of a cluster.
    factor : float in [1, inf), default=10.0
        How many times ``n`` rows with the smallest margins are candidates.
    max_rows : int in [1, inf), default=4000
        Candidates at most, but not fewer than ``n``: the clustering takes the square of it.

    Returns
    -------
    array of shape (n,)
        Row numbers, in the order of asking.

    Notes
    -----
    The candidates are clustered bottom up by average distance into ``n`` clusters, and rows are drawn from the
    clusters in turn, the smallest cluster first, so that large ones give the rest. Only the candidates are clustered,
    where the authors cluster the pool once.

    References
    ----------
    .. [1] Citovsky, DeSalvo, Gentile, Karydas, Rajagopalan, Rostamizadeh, Kumar. "Batch active learning at scale".
       NeurIPS 2021.

    Examples
    --------
    >>> even, rows = np.full((4, 2), 0.5), np.array([[0.0], [0.1], [9.0], [9.1]])
    >>> found = cluster_margin(even, embeddings=rows, n=2, rng=np.random.default_rng(0))
    >>> sorted((found // 2).tolist())
    [0, 1]
    """
    size = min(len(proba), max(n, min(int(np.ceil(factor * n)), max_rows)))
    candidates = np.argsort(lead(proba), kind="stable")[:size]
    if size == 1:
        return candidates
    labels = fcluster(linkage(embeddings[candidates], "average"), n, "maxclust") - 1
    queues = [rng.permutation(candidates[labels == c]).tolist() for c in range(labels.max() + 1)]
    queues.sort(key=len)
    chosen: list[int] = []
    while len(chosen) < n:
        for queue in queues:
            if queue and len(chosen) < n:
                chosen.append(queue.pop())
    return np.array(chosen)
