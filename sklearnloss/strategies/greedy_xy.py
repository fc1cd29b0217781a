"""Greedy sampling of inputs and outputs."""

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.functional.greedy import greedy_rows, standardized

__all__ = ["greedy_xy"]


@strategy("greedy_xy", unit="batch", aliases=("igs",))
def greedy_xy(
    prediction: np.ndarray,
    *,
    embeddings: np.ndarray,
    embeddings_labeled: np.ndarray,
    y_labeled: np.ndarray,
    n: int,
    rng: np.random.Generator,
) -> np.ndarray:
    r"""Ask the row that is far from every labeled one in inputs and in output.

    Parameters
    ----------
    prediction : array of shape (n_pool,)
        Predicted targets of the pool.
    embeddings : array of shape (n_pool, d)
        Rows as the last step of the model sees them; columns are divided by their standard deviations.
    embeddings_labeled : array of shape (m, d)
        Those with labels.
    y_labeled : array of shape (m,)
        Their targets.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws the first row where there is no label.

    Returns
    -------
    array of shape (n,)
        Row numbers, in the order of asking.

    Notes
    -----
    .. math:: \max_i \min_j \lVert x_i - x_j \rVert \, \lvert \hat y_i - y_j \rvert

    Within a batch the prediction of a chosen row stands for its target. O(n_pool d (n + m)).

    References
    ----------
    .. [1] Wu, Lin, Huang. "Active learning for regression using greedy sampling". Information Sciences 474, 2019.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [2.0]])
    >>> greedy_xy(
    ...     np.array([5.0, 5.0, 0.1]), embeddings=rows, embeddings_labeled=np.array([[0.0]]), y_labeled=np.array([0.0]),
    ...     n=1, rng=np.random.default_rng(0),
    ... )
    array([1])
    """
    rows, labeled = standardized(embeddings, embeddings_labeled)
    targets = np.asarray(y_labeled, dtype=np.float64).reshape(-1, 1)
    return greedy_rows((rows, prediction[:, None]), (labeled, targets), n, rng)
