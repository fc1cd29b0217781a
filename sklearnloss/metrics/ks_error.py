"""Kolmogorov-Smirnov calibration error."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.functional.probabilities import check_probabilities, top_label


@metric("ks_error", greater_is_better=False)
def ks_error(
    y_true: ArrayLike, y_prob: ArrayLike, sample_weight: ArrayLike | None = None, *, labels: Any | None = None
) -> float:
    r"""Largest distance between the running sums of confidence and of correctness; calibration without bins.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Class of each row, in 0..k-1, or in ``labels``.
    y_prob : array-like of shape (n,) or (n, k)
        Probability of the positive class (1, or the second of ``labels``); or of every class, rows summing to one.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows; an integer weight counts like so many repetitions.
    labels : array-like of shape (k,), default=None
        The class of each column, such as ``classes_`` of a classifier.

    Returns
    -------
    float
        In [0, 1]; at least the distance between accuracy and mean confidence.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or ``y_prob`` holds no probabilities.

    Notes
    -----
    .. math:: \max_\sigma \frac1n \Bigl| \sum_{i:\,p_i \le \sigma} (c_i - p_i) \Bigr|

    Of ``y_prob`` (n,), :math:`p` is the probability of the positive class and :math:`c` whether it is true; of (n, k),
    :math:`p` is the largest probability and :math:`c` whether that class is true. Rows of equal confidence enter
    together, so their order does not matter. Where confidence is on one side of accuracy throughout, this is
    the expected calibration error.

    References
    ----------
    .. [1] Gupta, Rahimi, Ajanthan, Mensink, Sminchisescu, Hartley. "Calibration of neural networks using splines".
       ICLR 2021.

    Examples
    --------
    >>> round(ks_error([0, 1, 1, 1], [0.1, 0.7, 0.8, 0.9]), 4)
    0.125
    """
    proba, y, weight = check_probabilities(y_true, y_prob, sample_weight, labels)
    confidence, correct = top_label(proba, y)
    levels, place = np.unique(confidence, return_inverse=True)
    gaps = np.bincount(place, weight * (correct - confidence), minlength=len(levels))  # one per level of confidence
    return float(np.abs(np.cumsum(gaps)).max() / weight.sum())
