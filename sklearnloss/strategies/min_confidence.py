"""Least certain label of several."""

import numpy as np

from sklearnloss.component import strategy

__all__ = ["min_confidence"]


@strategy("min_confidence")
def min_confidence(label_proba: np.ndarray) -> np.ndarray:
    r"""Ask first the row with the most uncertain label, where a row has several.

    Parameters
    ----------
    label_proba : array of shape (n, n_labels)
        Probability of each label.

    Returns
    -------
    array of shape (n,)
        ``1 - 2 min_j |p_j - 1/2|``: one where a label is even, zero where all are certain.

    References
    ----------
    .. [1] Esuli, Sebastiani. "Active learning strategies for multi-label text classification". ECIR 2009.

    Examples
    --------
    >>> min_confidence(np.array([[0.9, 0.5], [0.9, 0.8]])).round(2)
    array([1. , 0.4])
    """
    return 1 - 2 * np.abs(label_proba - 0.5).min(axis=1)
