"""Greedy sampling of outputs."""

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.functional.greedy import greedy_rows

__all__ = ["greedy_y"]


@strategy("greedy_y", unit="batch", aliases=("gsy",))
def greedy_y(prediction: np.ndarray, *, y_labeled: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    r"""Ask the row whose prediction is farthest from all known targets.

    Parameters
    ----------
    prediction : array of shape (n_pool,)
        Predicted targets of the pool.
    y_labeled : array of shape (m,)
        Targets of the rows with labels.
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
    Within a batch the prediction of a chosen row stands for its target. O(n_pool (n + m)).

    References
    ----------
    .. [1] Wu, Lin, Huang. "Active learning for regression using greedy sampling". Information Sciences 474, 2019.

    Examples
    --------
    >>> greedy_y(np.array([1.0, 2.0, 9.0]), y_labeled=np.array([0.0, 5.0]), n=2, rng=np.random.default_rng(0))
    array([2, 1])
    """
    targets = np.asarray(y_labeled, dtype=np.float64).reshape(-1, 1)
    return greedy_rows((prediction[:, None],), (targets,), n, rng)
