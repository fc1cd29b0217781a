"""How often quantiles cross."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.functional.forecasts import average, check_forecasts


@metric("crossing_rate", greater_is_better=False)
def crossing_rate(
    y_true: ArrayLike,
    quantiles: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    per: Literal["pair", "row"] = "pair",
) -> float:
    """Share of the pairs of levels whose quantiles stand in the wrong order.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes; only their shape matters, a scorer has them.
    quantiles : array-like of shape (n, w) or (n, n_targets, w)
        Quantiles by rising level, at least two.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    per : {"pair", "row"}, default="pair"
        What is counted: neighbouring pairs of levels, or forecasts with any such pair.

    Returns
    -------
    float
        In [0, 1]; equal quantiles do not cross.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or there is one level only.
    ParameterError
        If ``per`` is unknown.

    References
    ----------
    .. [1] Chernozhukov, Fernández-Val, Galichon. "Quantile and probability curves without crossing". Econometrica
       78(3), 2010.

    Examples
    --------
    >>> crossing_rate([0.0, 0.0], [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]])
    0.25
    """
    if per not in ("pair", "row"):
        raise ParameterError(f"crossing_rate: per must be one of 'pair', 'row', got {per!r}")
    _, values, weight = check_forecasts(y_true, quantiles, sample_weight, "quantiles")
    if values.shape[-1] < 2:
        raise DataError("crossing_rate: one quantile cannot cross another; give at least two levels")
    crossed = np.diff(values, axis=-1) < 0  # (n, ..., w - 1)
    counted = crossed if per == "pair" else np.any(crossed, axis=-1, keepdims=True)
    return average(np.asarray(counted, dtype=np.float64), weight)
