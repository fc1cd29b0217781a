"""Variance of a committee's predictions."""

import numpy as np

from sklearnloss.component import strategy

__all__ = ["qbc_variance"]


@strategy("qbc_variance")
def qbc_variance(committee_prediction: np.ndarray) -> np.ndarray:
    """Ask first where the members of a committee predict different numbers.

    Parameters
    ----------
    committee_prediction : array of shape (m, n)
        Predictions by each member.

    Returns
    -------
    array of shape (n,)
        Variance over the members.

    References
    ----------
    .. [1] RayChaudhuri, Hamey. "Minimisation of data collection by active learning". ICNN 1995.
    .. [2] Burbidge, Rowland, King. "Active learning for regression based on query by committee". IDEAL 2007.

    Examples
    --------
    >>> qbc_variance(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([1., 0.])
    """
    return committee_prediction.var(axis=0)
