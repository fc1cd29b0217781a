"""Interval score."""

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import Interval
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.forecasts import average, check_intervals

Share = Annotated[float, Interval(0, 1)]


@metric("interval_score", greater_is_better=False, aliases=("winkler_score",))
def interval_score(
    y_true: ArrayLike, interval: ArrayLike, sample_weight: ArrayLike | None = None, *, coverage: Share = 0.9
) -> float:
    r"""Width of an interval, plus how far outcomes lie outside, the dearer the more it should cover.

    It is least for the central interval of the right distribution, which neither `coverage` nor `width` alone are.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes.
    interval : array-like of shape (n, 2) or (n, n_targets, 2)
        Lower and upper ends, such as those of ``predict_interval``.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    coverage : float in (0, 1), default=0.9
        Share of outcomes that should lie inside.

    Returns
    -------
    float
        Not negative, in the units of y.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or a lower end lies above its upper end.
    ParameterError
        If ``coverage`` is out of range.

    Notes
    -----
    With :math:`a` one minus the coverage,

    .. math:: (u - l) + \tfrac2a (l - y)_+ + \tfrac2a (y - u)_+

    References
    ----------
    .. [1] Gneiting, Raftery. "Strictly proper scoring rules, prediction, and estimation". JASA 102, 2007.

    Examples
    --------
    >>> interval_score([1.0, 5.0], [[0.0, 2.0], [0.0, 4.0]], coverage=0.75)
    7.0
    """
    if not 0 < coverage < 1:
        raise ParameterError(f"interval_score: coverage must be a float in (0, 1), got {coverage!r}")
    y, low, high, weight = check_intervals(y_true, interval, sample_weight)
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return average(high - low + 2 / (1 - coverage) * outside, weight)
