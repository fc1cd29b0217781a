"""Entropy sampling."""

import numpy as np
from scipy.special import entr

from sklearnloss.component import strategy

__all__ = ["entropy"]


@strategy("entropy")
def entropy(proba: np.ndarray) -> np.ndarray:
    r"""Ask first where the probabilities of the classes spread most.

    With many classes it is swayed by those that are hardly possible, and often falls behind ``margin``.

    Parameters
    ----------
    proba : array of shape (n, k)
        Probabilities of the classes.

    Returns
    -------
    array of shape (n,)
        ``-sum(p log p)`` in nats, between zero and ``log k``.

    References
    ----------
    .. [1] Settles. "Active learning literature survey". University of Wisconsin-Madison, 2009.

    Examples
    --------
    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(4)
    array([0.6931, 0.    ])
    """
    return entr(proba).sum(axis=1)
