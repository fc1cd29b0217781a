"""Share of the pinball loss that quantile forecasts explain."""

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import Levels
from sklearnloss.exceptions import DataError
from sklearnloss.functional.forecasts import NINE, check_quantiles, pinball_values


@metric("d2_quantiles")
def d2_quantiles(
    y_true: ArrayLike, quantiles: ArrayLike, sample_weight: ArrayLike | None = None, *, levels: Levels = NINE
) -> float:
    r"""Share of the pinball loss of the best constant quantiles that forecasts do without: an R² of quantiles.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes, not all equal.
    quantiles : array-like of shape (n, w) or (n, n_targets, w)
        A quantile for each level; they may cross.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
        Levels of the quantiles.

    Returns
    -------
    float
        At most 1; 0 for the quantiles of y_true, negative for worse. Of several targets the mean.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or all outcomes of a target are equal.
    ParameterError
        If the levels are not rising and in (0, 1).

    See Also
    --------
    sklearn.metrics.d2_pinball_score : The same for one level.

    Notes
    -----
    One minus the pinball loss of the forecasts over that of the constants, each summed over rows and levels.

    References
    ----------
    .. [1] Koenker, Machado. "Goodness of fit and related inference processes for quantile regression". JASA 94, 1999.

    Examples
    --------
    >>> d2_quantiles([1.0, 2.0, 3.0, 4.0], [[1.0], [2.0], [3.0], [3.0]], levels=(0.5,))
    0.75
    """
    y, values, weight, at = check_quantiles(y_true, quantiles, sample_weight, levels)
    # every quantile of this kind is a least of the weighted pinball loss, also between two outcomes
    constant = np.quantile(y, at, axis=0, method="inverted_cdf", weights=weight)  # (w, ...)
    best = pinball_values(y, np.moveaxis(constant, 0, -1)[None], at).sum(axis=-1)  # (n, ...)
    lost = pinball_values(y, values, at).sum(axis=-1)
    below = np.tensordot(weight, best, axes=1)  # () or (n_targets,)
    if not np.all(below > 0):
        raise DataError("d2_quantiles: outcomes are all equal, so constants lose nothing; take wis or crps_quantile")
    return float(np.mean(1 - np.tensordot(weight, lost, axes=1) / below))
