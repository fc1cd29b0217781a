"""Random rows."""

import numpy as np

from sklearnloss.component import strategy

__all__ = ["random"]


@strategy("random", aliases=("passive",))
def random(X_pool: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Ask any row: what every other strategy has to beat.

    Parameters
    ----------
    X_pool : array, sparse matrix or DataFrame of shape (n, d)
        Rows that may be asked.
    rng : numpy Generator
        Where the numbers come from.

    Returns
    -------
    array of shape (n,)
        Uniform numbers in [0, 1).

    References
    ----------
    .. [1] Settles. "Active learning literature survey". University of Wisconsin-Madison, 2009.

    Examples
    --------
    >>> random(np.zeros((3, 2)), rng=np.random.default_rng(0)).round(3)
    array([0.637, 0.27 , 0.041])
    """
    return rng.random((X_pool.shape[0],))
