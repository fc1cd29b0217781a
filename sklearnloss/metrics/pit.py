"""Probability integral transform of quantile forecasts."""

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import Levels
from sklearnloss.functional.forecasts import NINE, check_quantiles


@metric("pit", greater_is_better=False)
def pit(
    y_true: ArrayLike, quantiles: ArrayLike, sample_weight: ArrayLike | None = None, *, levels: Levels = NINE
) -> float:
    r"""Largest distance between a level and the share of outcomes at or below its quantiles.

    It is how far the probability integral transform is from uniform, looked at where forecasts say something. Zero is
    best, but says nothing of sharpness: the quantiles of all outcomes have it too.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes.
    quantiles : array-like of shape (n, w) or (n, n_targets, w)
        A quantile for each level; they may cross.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
        Levels of the quantiles.

    Returns
    -------
    float
        In [0, 1]; of several targets the mean.

    Raises
    ------
    DataError
        If the arrays do not fit together, or are not finite.
    ParameterError
        If the levels are not rising and in (0, 1).

    See Also
    --------
    ks_error : The same for probabilities of classes.

    Notes
    -----
    .. math:: \max_q \, \Bigl| \frac1n \sum_i [y_i \le x_{iq}] - q \Bigr|

    Of calibrated forecasts and n rows it is about :math:`1 / \sqrt n`.

    References
    ----------
    .. [1] Gneiting, Balabdaoui, Raftery. "Probabilistic forecasts, calibration and sharpness". JRSS B 69, 2007.

    Examples
    --------
    >>> pit([1.0, 2.0, 3.0, 9.0], [[0.0, 4.0]] * 4, levels=(0.25, 0.75))
    0.25
    """
    y, values, weight, at = check_quantiles(y_true, quantiles, sample_weight, levels)
    share = np.average(y[..., None] <= values, axis=0, weights=weight)  # (..., w)
    return float(np.abs(share - at).max(axis=-1).mean())
