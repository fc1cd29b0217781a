"""Least confidence."""

import numpy as np

from sklearnloss.component import strategy

__all__ = ["least_confidence"]


@strategy("least_confidence")
def least_confidence(proba: np.ndarray) -> np.ndarray:
    r"""Ask first where the most probable class is least probable.

    Parameters
    ----------
    proba : array of shape (n, k)
        Probabilities of the classes.

    Returns
    -------
    array of shape (n,)
        ``1 - max(p)``, between zero and ``1 - 1 / k``: the chance that the prediction is wrong.

    References
    ----------
    .. [1] Lewis, Gale. "A sequential algorithm for training text classifiers". SIGIR 1994.

    Examples
    --------
    >>> least_confidence(np.array([[0.5, 0.5], [0.9, 0.1]]))
    array([0.5, 0.1])
    """
    return 1 - proba.max(axis=1)
