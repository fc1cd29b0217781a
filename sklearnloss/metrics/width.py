"""Mean width of intervals."""

from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.functional.forecasts import average, check_intervals


@metric("width", greater_is_better=False)
def width(y_true: ArrayLike, interval: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean width of intervals; of two that cover as much, the narrower says more.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes; only their shape matters, a scorer has them.
    interval : array-like of shape (n, 2) or (n, n_targets, 2)
        Lower and upper ends, such as those of ``predict_interval``.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.

    Returns
    -------
    float
        Not negative, in the units of y.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or a lower end lies above its upper end.

    References
    ----------
    .. [1] Gneiting, Balabdaoui, Raftery. "Probabilistic forecasts, calibration and sharpness". JRSS B 69, 2007.

    Examples
    --------
    >>> width([0.0, 0.0], [[0.0, 2.0], [1.0, 5.0]])
    3.0
    """
    _, low, high, weight = check_intervals(y_true, interval, sample_weight)
    return average(high - low, weight)
