"""Greedy sampling of inputs."""

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.functional.centers import farthest_points
from sklearnloss.functional.greedy import standardized

__all__ = ["greedy_x"]


@strategy("greedy_x", unit="batch", aliases=("gsx",))
def greedy_x(embeddings: np.ndarray, *, embeddings_labeled: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    r"""Ask the row that is farthest from all labeled ones, in standardized columns: for regression.

    Parameters
    ----------
    embeddings : array of shape (n_pool, d)
        Rows as the last step of the model sees them.
    embeddings_labeled : array of shape (m, d)
        Those with labels; without any the first row is drawn at random.
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
    As ``coreset``, but each column is divided by its standard deviation over pool and labels first.

    References
    ----------
    .. [1] Yu, Kim. "Passive sampling for regression". ICDM 2010.
    .. [2] Wu, Lin, Huang. "Active learning for regression using greedy sampling". Information Sciences 474, 2019.

    Examples
    --------
    >>> pool, labeled = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 3.0]]), np.array([[30.0, 0.0]])
    >>> greedy_x(pool, embeddings_labeled=labeled, n=1, rng=np.random.default_rng(0))
    array([2])
    """
    rows, labeled = standardized(embeddings, embeddings_labeled)
    return farthest_points(rows, n, centers=labeled, rng=rng)
