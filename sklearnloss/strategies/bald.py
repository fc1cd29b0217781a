"""Bayesian active learning by disagreement."""

import numpy as np
from scipy.special import entr

from sklearnloss.component import strategy

__all__ = ["bald"]


@strategy("bald")
def bald(committee: np.ndarray) -> np.ndarray:
    r"""Ask first where members of a committee are each sure, but of different classes.

    Unlike ``entropy`` it leaves out rows of which every member knows that they are undecided.

    Parameters
    ----------
    committee : array of shape (m, n, k)
        Probabilities by each member, which stand for draws of the model.

    Returns
    -------
    array of shape (n,)
        Mutual information of a row's class and the model, in nats, not negative.

    Notes
    -----
    .. math:: u = H\Big(\frac1m \sum_i p_i\Big) - \frac1m \sum_i H(p_i)

    References
    ----------
    .. [1] Houlsby, Huszár, Ghahramani, Lengyel. "Bayesian active learning for classification and preference learning".
       arXiv:1112.5745, 2011.

    Examples
    --------
    >>> certain, undecided = [[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]
    >>> bald(np.array([certain, undecided])).round(4)
    array([0.6931, 0.    ])
    """
    mean = committee.mean(axis=0)
    information = entr(mean).sum(axis=1) - entr(committee).sum(axis=2).mean(axis=0)
    return np.maximum(information, 0)  # but for rounding
