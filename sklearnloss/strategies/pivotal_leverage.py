"""Dependent sampling by leverage scores."""

from typing import Literal

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.leverage import leverage_scores
from sklearnloss.functional.pivotal import inclusion_probabilities, pivotal_rows, space_order

__all__ = ["pivotal_leverage"]


@strategy("pivotal_leverage", unit="batch", status="known")
def pivotal_leverage(
    embeddings: np.ndarray,
    *,
    X_pool: np.ndarray | None = None,
    n: int,
    rng: np.random.Generator,
    tree: Literal["coordinate", "pca", "random"] = "coordinate",
    weights: bool = True,
    ridge: NonNegative = 0.0,
) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
    r"""Draw rows by their leverage, but seldom neighbors together: one batch to fit a linear regression to.

    It looks at no label, so that the whole budget can be asked at once.

    Parameters
    ----------
    embeddings : array of shape (n_pool, d)
        The columns that the regression sees: those of the last step of a pipeline, such as polynomials.
    X_pool : array of shape (n_pool, e) or None, default=None
        The raw rows, in whose space neighbors lie; None, or rows that are no dense array of numbers, takes the
        embeddings.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws them.
    tree : {"coordinate", "pca", "random"}, default="coordinate"
        What halves the pool again and again: the median of one column after the other, of the first principal
        direction of each part, or chance, which leaves rows independent of their place.
    weights : bool, default=True
        Whether the rows come with weights, one over their probability, with which a least squares fit is unbiased.
    ridge : float in [0, inf), default=0.0
        Penalty of the regression.

    Returns
    -------
    rows : array of shape (n,)
        Row numbers.
    weights : array of shape (n,)
        With ``weights`` only.

    Notes
    -----
    The probability of a row is :math:`p_i = \min(1, c \tau_i)` with its leverage :math:`\tau_i` and c such that they
    add up to n. At every node of the tree the two rows left in its halves, with probabilities a and b, play against
    each other: with :math:`a + b \le 1` one goes on with a + b, the first with probability a / (a + b); otherwise one
    is drawn, the first with probability (1 - b) / (2 - a - b), and the other goes on with a + b - 1. So each row is
    drawn with its own probability, and the numbers in every part of the pool vary as little as they can. O(n_pool d^2).

    References
    ----------
    .. [1] Shimizu, Cheng, Musco, Weare. "Improved active learning via dependent leverage score sampling". ICLR 2024.
    .. [2] Deville, Tillé. "Unequal probability sampling without replacement through a splitting method". Biometrika 85,
       1998.

    Examples
    --------
    >>> rows = np.linspace(-1, 1, 100)[:, None]
    >>> columns = np.hstack([np.ones_like(rows), rows])
    >>> found, weights = pivotal_leverage(columns, X_pool=rows, n=10, rng=np.random.default_rng(0))
    >>> bool((np.diff(np.sort(found)) > 1).all()), round(float(weights.sum()))
    (True, 92)
    """
    places = embeddings
    if isinstance(X_pool, np.ndarray) and X_pool.ndim == 2 and X_pool.dtype.kind in "biuf":
        places = X_pool
    scores = leverage_scores(embeddings, ridge=ridge)
    p = inclusion_probabilities(scores, n)
    rows = pivotal_rows(p, space_order(places, tree, rng), rng)
    return (rows, 1 / p[rows]) if weights else rows
