"""k-centre core-set."""

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.functional.centers import farthest_points

__all__ = ["coreset"]


@strategy("coreset", unit="batch", aliases=("k_center",))
def coreset(embeddings: np.ndarray, *, embeddings_labeled: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    r"""Ask the row that is farthest from all that are labeled, then the next, so that every row has one near.

    It looks at no probability: it covers the pool, and follows outliers on the way.

    Parameters
    ----------
    embeddings : array of shape (n_pool, d)
        Embeddings of the pool, in whose distances rows are near or far.
    embeddings_labeled : array of shape (m, d)
        Embeddings of the rows with labels; without any the first row is drawn at random.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws the first row.

    Returns
    -------
    array of shape (n,)
        Row numbers, in the order of asking.

    Notes
    -----
    The greedy solution, whose largest distance is at most twice the least that is possible. Exact, with a list of the
    farthest rows that is only now and then brought up to date: much below O(n_pool n d).

    References
    ----------
    .. [1] Sener, Savarese. "Active learning for convolutional neural networks: a core-set approach". ICLR 2018.
    .. [2] Gonzalez. "Clustering to minimize the maximum intercluster distance". TCS 38, 1985.

    Examples
    --------
    >>> pool, labeled = np.array([[0.0], [1.0], [4.0], [9.0]]), np.array([[0.0]])
    >>> coreset(pool, embeddings_labeled=labeled, n=2, rng=np.random.default_rng(0))
    array([3, 2])
    """
    return farthest_points(embeddings, n, centers=embeddings_labeled, rng=rng)
