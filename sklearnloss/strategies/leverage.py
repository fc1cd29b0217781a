"""Leverage scores."""

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.leverage import leverage_scores

__all__ = ["leverage"]


@strategy("leverage", unit="pool")
def leverage(embeddings: np.ndarray, *, ridge: NonNegative = 0.0) -> np.ndarray:
    r"""Ask first the rows by which a linear regression is moved most.

    Parameters
    ----------
    embeddings : array of shape (n, d)
        Rows as the last step of the model sees them.
    ridge : float in [0, inf), default=0.0
        Penalty of the regression.

    Returns
    -------
    array of shape (n,)
        ``x' (X' X + ridge)^-1 x``, between zero and one.

    Notes
    -----
    Rows with a high leverage lie at the border of the pool, so that ten of them may all lie at one end:
    ``pivotal_leverage`` draws by the same scores, and spreads. O(n d^2).

    References
    ----------
    .. [1] Ma, Mahoney, Yu. "A statistical perspective on algorithmic leveraging". JMLR 16, 2015.

    Examples
    --------
    >>> leverage(np.array([[1.0], [2.0], [0.0]]))
    array([0.2, 0.8, 0. ])
    """
    return leverage_scores(embeddings, ridge=ridge)
