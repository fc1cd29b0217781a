"""Pinball loss of several levels."""

from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import Levels
from sklearnloss.functional.forecasts import NINE, average, check_quantiles, pinball_values


@metric("pinball", greater_is_better=False, aliases=("quantile_score",))
def pinball(
    y_true: ArrayLike, quantiles: ArrayLike, sample_weight: ArrayLike | None = None, *, levels: Levels = NINE
) -> float:
    r"""Mean pinball loss of quantile forecasts over rows and levels.

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
        Not negative, in the units of y; of the median alone half the mean absolute error.

    Raises
    ------
    DataError
        If the arrays do not fit together, or are not finite.
    ParameterError
        If the levels are not rising and in (0, 1).

    See Also
    --------
    wis, crps_quantile : Twice this.
    sklearn.metrics.mean_pinball_loss : The same for one level.

    Notes
    -----
    .. math:: \frac1w \sum_q \max\bigl(q (y - x_q), (q - 1) (y - x_q)\bigr)

    References
    ----------
    .. [1] Koenker, Bassett. "Regression quantiles". Econometrica 46, 1978.

    Examples
    --------
    >>> round(pinball([2.0], [[1.0, 3.0]], levels=(0.1, 0.9)), 4)
    0.1
    """
    y, values, weight, at = check_quantiles(y_true, quantiles, sample_weight, levels)
    return average(pinball_values(y, values, at), weight)
