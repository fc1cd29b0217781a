"""Share of outcomes inside intervals."""

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.functional.forecasts import average, check_intervals


@metric("coverage", aliases=("picp",))
def coverage(y_true: ArrayLike, interval: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Share of outcomes that lie inside their interval, ends included.

    It should be what the interval promises: read it beside `width`, or take `interval_score`, which judges both.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes.
    interval : array-like of shape (n, 2) or (n, n_targets, 2)
        Lower and upper ends, such as those of ``predict_interval``.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or a lower end lies above its upper end.

    References
    ----------
    .. [1] Gneiting, Balabdaoui, Raftery. "Probabilistic forecasts, calibration and sharpness". JRSS B 69, 2007.

    Examples
    --------
    >>> coverage([1.0, 2.0, 5.0, 0.0], [[0.0, 2.0]] * 4)
    0.75
    """
    y, low, high, weight = check_intervals(y_true, interval, sample_weight)
    return average(np.asarray((low <= y) & (y <= high), dtype=np.float64), weight)
