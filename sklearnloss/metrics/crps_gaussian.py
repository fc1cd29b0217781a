"""Continuous ranked probability score of normal distributions."""

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.exceptions import DataError
from sklearnloss.functional.distributions import Normal
from sklearnloss.functional.forecasts import average, check_forecasts


@metric("crps_gaussian", greater_is_better=False, aliases=("crps_normal",))
def crps_gaussian(y_true: ArrayLike, parameters: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    r"""Continuous ranked probability score of normal distributions, in closed form.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes.
    parameters : array-like of shape (n, 2) or (n, n_targets, 2)
        Mean and standard deviation of each; a deviation of zero is a point.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.

    Returns
    -------
    float
        Not negative, in the units of y.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or a deviation is negative.

    Notes
    -----
    With :math:`z = (y - \mu) / \sigma`,

    .. math:: \sigma \bigl( z (2 \Phi(z) - 1) + 2 \varphi(z) - \pi^{-1/2} \bigr)

    References
    ----------
    .. [1] Gneiting, Raftery, Westveld, Goldman. "Calibrated probabilistic forecasting using ensemble model output
       statistics and minimum CRPS estimation". Monthly Weather Review 133, 2005.

    Examples
    --------
    >>> round(crps_gaussian([0.0, 3.0], [[0.0, 2.0], [1.0, 0.0]]), 4)
    1.2337
    """
    y, values, weight = check_forecasts(y_true, parameters, sample_weight, "parameters")
    if values.shape[-1] != 2:
        raise DataError(f"parameters must hold mean and standard deviation, 2 numbers for each, got {values.shape[-1]}")
    mu, sigma = values[..., 0], values[..., 1]
    if (sigma < 0).any():
        raise DataError(f"standard deviations must not be negative, got {sigma.min():g}")
    spread = sigma > 0
    score = np.abs(y - mu)
    score[spread] = Normal(mu[spread], sigma[spread]).crps(y[spread])
    return average(score, weight)
