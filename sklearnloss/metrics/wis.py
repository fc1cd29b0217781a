"""Weighted interval score."""

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import Levels
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.forecasts import NINE, average, check_quantiles, pinball_values


@metric("wis", greater_is_better=False, aliases=("weighted_interval_score",))
def wis(
    y_true: ArrayLike, quantiles: ArrayLike, sample_weight: ArrayLike | None = None, *, levels: Levels = NINE
) -> float:
    r"""Width of central intervals plus what outcomes outside cost, averaged over many coverages.

    It is the score of forecast hubs: in the units of y, the absolute error where all quantiles are one point.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes.
    quantiles : array-like of shape (n, w) or (n, n_targets, w)
        A quantile for each level; they may cross.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
        Levels of the quantiles, symmetric around 0.5, with or without 0.5 itself.

    Returns
    -------
    float
        Not negative.

    Raises
    ------
    DataError
        If the arrays do not fit together, or are not finite.
    ParameterError
        If the levels are not rising, in (0, 1) and symmetric.

    See Also
    --------
    sklearn.metrics.mean_pinball_loss : The score of one level.

    Notes
    -----
    Of the interval :math:`[l, u]` of the levels :math:`a/2` and :math:`1 - a/2` the interval score is

    .. math:: S_a = (u - l) + \tfrac2a (l - y)_+ + \tfrac2a (y - u)_+

    and of K such pairs and the median m

    .. math:: \frac{1}{K + 1/2} \Bigl( \tfrac12 |y - m| + \sum_k \tfrac{a_k}{2} S_{a_k} \Bigr)

    without median the divisor is K. Both are twice the mean pinball loss over the levels, which is what is computed.

    References
    ----------
    .. [1] Bracher, Ray, Gneiting, Reich. "Evaluating epidemic forecasts in an interval format". PLOS Computational
       Biology 17(2), 2021.

    Examples
    --------
    >>> wis([2.0, 5.0], [[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]], levels=(0.1, 0.5, 0.9))
    1.0333333333333332
    """
    y, values, weight, at = check_quantiles(y_true, quantiles, sample_weight, levels)
    if not np.allclose(at + at[::-1], 1, rtol=0, atol=1e-9):
        raise ParameterError(
            f"wis: levels must be symmetric around 0.5, such as (0.1, 0.5, 0.9), got {tuple(at.tolist())}; "
            "crps_quantile takes any"
        )
    return 2 * average(pinball_values(y, values, at), weight)
