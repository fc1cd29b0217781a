"""Margin sampling."""

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.functional.top_two import lead

__all__ = ["margin"]


@strategy("margin")
def margin(proba: np.ndarray) -> np.ndarray:
    r"""Ask first where the two most probable classes are close.

    There is nothing to tune, and on tables few strategies beat it.

    Parameters
    ----------
    proba : array of shape (n, k)
        Probabilities of the classes.

    Returns
    -------
    array of shape (n,)
        Between zero, where one class is certain, and one.

    Notes
    -----
    .. math:: u = 1 - (p_{(1)} - p_{(2)})

    Of two classes the order is that of ``entropy`` and ``least_confidence``. O(n k), without a sort.

    References
    ----------
    .. [1] Bahri, Jiang, Schuster, Rostamizadeh. "Is margin all you need? An extensive empirical study of active
       learning on tabular data". arXiv:2210.03822, 2022.
    .. [2] Scheffer, Decomain, Wrobel. "Active hidden Markov models for information extraction". IDA 2001.

    Examples
    --------
    >>> margin(np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.4, 0.35, 0.25]]))
    array([1.  , 0.  , 0.95])
    """
    ahead = lead(proba)
    return np.subtract(1, ahead, out=ahead)
