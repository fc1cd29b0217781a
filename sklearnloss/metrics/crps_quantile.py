"""Continuous ranked probability score of quantiles."""

from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import Levels
from sklearnloss.functional.forecasts import NINE, average, check_quantiles, pinball_values


@metric("crps_quantile", greater_is_better=False)
def crps_quantile(
    y_true: ArrayLike, quantiles: ArrayLike, sample_weight: ArrayLike | None = None, *, levels: Levels = NINE
) -> float:
    r"""Twice the mean pinball loss over levels, which comes near the continuous ranked probability score for many.

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
        Not negative, in the units of y.

    Raises
    ------
    DataError
        If the arrays do not fit together, or are not finite.
    ParameterError
        If the levels are not rising and in (0, 1).

    See Also
    --------
    wis : The same for levels that are symmetric around 0.5.

    Notes
    -----
    .. math:: \frac{2}{w} \sum_q \max\bigl(q (y - x_q), (q - 1) (y - x_q)\bigr)

    Every level weighs the same: it is near the score where the levels are evenly spread over (0, 1).

    References
    ----------
    .. [1] Berrisch, Ziel. "CRPS learning". Journal of Econometrics 237, 2023.

    Examples
    --------
    >>> round(crps_quantile([2.0], [[1.0, 3.0]], levels=(0.1, 0.9)), 4)
    0.2
    """
    y, values, weight, at = check_quantiles(y_true, quantiles, sample_weight, levels)
    return 2 * average(pinball_values(y, values, at), weight)
