"""BADGE."""

import numpy as np

from sklearnloss.component import strategy

__all__ = ["badge"]


@strategy("badge", unit="batch")
def badge(proba: np.ndarray, *, embeddings: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    r"""Ask rows whose gradients are long and point apart.

    Parameters
    ----------
    proba : array of shape (n_pool, k)
        Probabilities of the classes.
    embeddings : array of shape (n_pool, d)
        What the last layer sees.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws the rows.

    Returns
    -------
    array of shape (n,)
        Row numbers, in the order of asking.

    Notes
    -----
    The gradient of the log loss by the last layer, with the most probable class taken for the true one, is
    :math:`g = (p - e_{\hat y}) \otimes x`. The first row is that with the longest, the others are drawn as the centers
    of k-means++: by the square of their distance to the nearest row so far. Products of gradients are products of those
    of their factors, :math:`\langle g, g' \rangle = \langle a, a' \rangle \langle x, x' \rangle`, so that no vector of
    k d numbers is made: O(n_pool n (k + d)).

    References
    ----------
    .. [1] Ash, Zhang, Krishnamurthy, Langford, Agarwal. "Deep batch active learning by diverse, uncertain gradient
       lower bounds". ICLR 2020.

    Examples
    --------
    >>> proba = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [1.0, 0.0]])
    >>> rows = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 1.0], [9.0, 9.0]])
    >>> sorted(badge(proba, embeddings=rows, n=3, rng=np.random.default_rng(0)).tolist())
    [0, 2, 3]
    """
    residual = proba.copy()
    residual[np.arange(len(proba)), proba.argmax(axis=1)] -= 1  # (n_pool, k)
    square = np.einsum("ij,ij->i", residual, residual) * np.einsum("ij,ij->i", embeddings, embeddings)
    nearest = np.full(len(proba), np.inf)
    chosen = [int(square.argmax())]
    free = np.ones(len(proba), dtype=bool)
    while True:
        last = chosen[-1]
        free[last] = False
        if len(chosen) == n:
            return np.array(chosen)
        product = (residual @ residual[last]) * (embeddings @ embeddings[last])
        np.minimum(nearest, np.maximum(square - 2 * product + square[last], 0), out=nearest)
        weight = np.where(free, nearest, 0)
        total = weight.sum()
        if total > 0:
            chosen.append(int(rng.choice(len(weight), p=weight / total)))
        else:  # all that is left has the gradient of a chosen row
            chosen.append(int(rng.choice(np.flatnonzero(free))))
