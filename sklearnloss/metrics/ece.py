"""Expected calibration error."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import PositiveInt
from sklearnloss.functional.probabilities import binned, check_probabilities, expected_gap, top_label


@metric("ece", greater_is_better=False, aliases=("expected_calibration_error",))
def ece(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    n_bins: PositiveInt = 15,
    strategy: Literal["uniform", "quantile"] = "uniform",
    classwise: bool = False,
    labels: Any | None = None,
) -> float:
    r"""Mean distance between how sure predictions are and how often they are right, over bins of confidence.

    Zero is best, but says nothing of accuracy: always predicting the class shares is calibrated as well.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Class of each row, in 0..k-1, or in ``labels``.
    y_prob : array-like of shape (n,) or (n, k)
        Probability of the positive class (1, or the second of ``labels``); or of every class, rows summing to one.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows; an integer weight counts like so many repetitions.
    n_bins : int in [1, inf), default=15
        Number of bins.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of equal width, ``(i / n_bins, (i + 1) / n_bins]``; or of equal weight, where equal confidences stay
        together.
    classwise : bool, default=False
        Of ``y_prob`` (n, k): the mean over classes of the error of each column, instead of that of the top label.
    labels : array-like of shape (k,), default=None
        The class of each column, such as ``classes_`` of a classifier.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the arrays do not fit together, or ``y_prob`` holds no probabilities.

    Notes
    -----
    .. math:: \sum_b \frac{|b|}{n} \Bigl| \frac1{|b|}\sum_{i \in b} c_i - \frac1{|b|}\sum_{i \in b} p_i \Bigr|

    Of ``y_prob`` (n,), :math:`p` is the probability of the positive class and :math:`c` whether it is true; of (n, k),
    :math:`p` is the largest probability and :math:`c` whether that class is true.
    ``n_bins=1`` gives the distance between accuracy and mean confidence. The estimate is biased upwards, the more so
    the fewer rows a bin has.

    References
    ----------
    .. [1] Naeini, Cooper, Hauskrecht. "Obtaining well calibrated probabilities using Bayesian binning". AAAI 2015.
    .. [2] Guo, Pleiss, Sun, Weinberger. "On calibration of modern neural networks". ICML 2017.
    .. [3] Nixon, Dusenberry, Zhang, Jerfel, Tran. "Measuring calibration in deep learning". CVPR Workshops 2019.
    .. [4] Kull, Perello-Nieto, Kängsepp, Silva Filho, Song, Flach. "Beyond temperature scaling: obtaining
       well-calibrated multi-class probabilities with Dirichlet calibration". NeurIPS 2019.

    Examples
    --------
    >>> round(ece([0, 1, 1, 1], [0.1, 0.7, 0.8, 0.9], n_bins=2), 4)
    0.175
    """
    proba, y, weight = check_probabilities(y_true, y_prob, sample_weight, labels)
    if not classwise:
        return expected_gap(*binned(*top_label(proba, y), weight, n_bins=n_bins, strategy=strategy))
    if proba.ndim == 1:
        raise ValueError(f"classwise=True needs y_prob of shape (n, k), one column per class, got {np.shape(y_prob)}")
    columns = [binned(p, y == j, weight, n_bins=n_bins, strategy=strategy) for j, p in enumerate(proba.T)]
    return float(np.mean([expected_gap(*column) for column in columns]))
