"""Largest possible loss of a likely set of labels."""

import numpy as np

from sklearnloss.component import strategy

__all__ = ["max_loss"]


@strategy("max_loss", aliases=("mml",))
def max_loss(label_proba: np.ndarray) -> np.ndarray:
    r"""Ask first the row whose predicted labels cost most if the most confident of them alone were right.

    Parameters
    ----------
    label_proba : array of shape (n, n_labels)
        Probability of each label.

    Returns
    -------
    array of shape (n,)
        Between zero and ``2 n_labels``.

    Notes
    -----
    With margins :math:`f_j = 2 p_j - 1` and :math:`j^*` the label of the largest margin, taken for the only positive
    one,

    .. math:: u = \sum_j \max\big(0, 1 - s_j f_j\big), \qquad s_j = \begin{cases} 1 & j = j^* \\ -1 & \text{else}
        \end{cases}

    is the hinge loss of the model on it. Labels that are probable besides the first make it large.

    References
    ----------
    .. [1] Li, Wang, Sung. "Multi-label SVM active learning for image classification". ICIP 2004.

    Examples
    --------
    >>> max_loss(np.array([[0.9, 0.1], [0.9, 0.8]])).round(2)
    array([0.4, 1.8])
    """
    margins = 2 * label_proba - 1
    signs = np.where(np.arange(label_proba.shape[1]) == margins.argmax(axis=1)[:, None], 1, -1)
    return np.maximum(1 - signs * margins, 0).sum(axis=1)
