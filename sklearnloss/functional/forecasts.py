"""Scores of forecasts that say more than a point, in numpy: checks of quantiles and ensembles, pinball, spread.

Outcomes have any shape, (n,) or (n, n_targets); a forecast has one more axis, of levels or of members.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

from sklearnloss.constraints import Levels, constraint_of
from sklearnloss.exceptions import DataError, ParameterError, TaskError

__all__ = [
    "NINE", "average", "check_forecasts", "check_intervals", "check_levels", "check_quantiles", "ensemble_score",
    "forecast", "pinball_values",
]  # fmt: skip

NINE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def check_levels(levels: Sequence[float], who: str) -> np.ndarray:
    """Return levels as an array (w,).

    Raises
    ------
    ParameterError
        If they are not a rising sequence in (0, 1).
    """
    rule = constraint_of(Levels)
    if not rule.allows(levels):
        raise ParameterError(f"{who} must be {rule}, got {levels!r}")
    return np.asarray(levels, dtype=np.float64)


def check_forecasts(
    y_true: ArrayLike, forecasts: ArrayLike, sample_weight: ArrayLike | None, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return outcomes (n, ...), forecasts (n, ..., m) and weights (n,), without the rows of weight zero.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes.
    forecasts : array-like of shape (n, m) or (n, n_targets, m)
        Several numbers for each.
    sample_weight : array-like of shape (n,) or None
        Weights of the rows; None is one each.
    name : str
        What messages call the forecasts.

    Raises
    ------
    DataError
        If these do not fit together, or are not finite.
    """
    y, values = np.asarray(y_true, dtype=np.float64), np.asarray(forecasts, dtype=np.float64)
    if y.ndim not in (1, 2) or not len(y):
        raise DataError(f"y_true must have shape (n,) or (n, n_targets) and at least one row, got shape {y.shape}")
    if values.ndim != y.ndim + 1 or values.shape[:-1] != y.shape or not values.shape[-1]:
        wanted = ", ".join(map(str, y.shape))
        raise DataError(f"{name} must have shape ({wanted}, m): m numbers for each of y_true, got {values.shape}")
    weight = _weights(sample_weight, len(y))
    kept = weight > 0
    for what, array in (("y_true", y[kept]), (name, values[kept])):
        if not np.isfinite(array).all():
            raise DataError(f"{what} holds NaN or infinite values")
    return y[kept], values[kept], weight[kept]


def check_intervals(
    y_true: ArrayLike, interval: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return outcomes, lower and upper ends, all of one shape, and weights (n,).

    Raises
    ------
    DataError
        If these do not fit together, are not finite, or a lower end lies above its upper end.
    """
    y, ends, weight = check_forecasts(y_true, interval, sample_weight, "interval")
    if ends.shape[-1] != 2:
        raise DataError(f"interval must have two numbers for each of y_true, its ends, got {ends.shape[-1]}")
    low, high = ends[..., 0], ends[..., 1]
    if (low > high).any():
        row = int((low > high).reshape(len(y), -1).any(axis=1).argmax())
        raise DataError(f"interval has a lower end above its upper end, first in row {row}: {ends[row].tolist()}")
    return y, low, high, weight


def _weights(sample_weight: ArrayLike | None, n: int) -> np.ndarray:
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,):
        raise DataError(f"sample_weight must have shape ({n},), got {weight.shape}")
    if not (np.isfinite(weight) & (weight >= 0)).all() or not weight.any():
        raise DataError("sample_weight must be finite and not negative, and not zero everywhere")
    return weight


def average(values: np.ndarray, weight: np.ndarray) -> float:
    """Return the weighted mean over the rows of (n, ...), plain over what else there is."""
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=weight))


def pinball_values(y: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the pinball loss of each outcome and level, (..., w).

    Examples
    --------
    >>> pinball_values(np.array([2.0]), np.array([[1.0, 3.0]]), np.array([0.1, 0.9]))
    array([[0.1, 0.1]])
    """
    gap = y[..., None] - quantiles
    return np.maximum(levels * gap, (levels - 1) * gap)


def check_quantiles(
    y_true: ArrayLike, quantiles: ArrayLike, sample_weight: ArrayLike | None, levels: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return outcomes (n, ...), quantiles (n, ..., w), weights (n,) and levels (w,).

    Raises
    ------
    DataError
        If these do not fit together, or are not finite.
    ParameterError
        If the levels are not a rising sequence in (0, 1).
    """
    asked = check_levels(levels, "levels")
    y, values, weight = check_forecasts(y_true, quantiles, sample_weight, "quantiles")
    if values.shape[-1] != len(asked):
        raise DataError(
            f"quantiles must have a column for each of the {len(asked)} levels {tuple(asked.tolist())}, got "
            f"{values.shape[-1]}; pass levels="
        )
    return y, values, weight, asked


def ensemble_score(y: np.ndarray, members: np.ndarray, *, alpha: float) -> np.ndarray:
    """Return the continuous ranked probability score of ensembles, of the shape of y, in O(m log m).

    Parameters
    ----------
    y : array of shape (...)
        Outcomes.
    members : array of shape (..., m)
        Draws; more than one unless alpha is 0.
    alpha : float in [0, 1]
        0 averages the distance of members over all pairs, 1 over the pairs of different ones.
    """
    m = members.shape[-1]
    errors = np.sort(members - y[..., None], axis=-1)  # from the outcome, so that little cancels below
    apart = errors @ (2.0 * np.arange(1, m + 1) - m - 1)  # the sum of |x_j - x_k| over j < k
    share = 1 / m**2 + alpha * (1 / (m * (m - 1)) - 1 / m**2) if m > 1 else 0.0
    return np.abs(errors).mean(axis=-1) - share * apart


def forecast(who: Any, method: str, estimator: Any, X: Any, *arguments: Any) -> Any:
    """Return what a fitted estimator forecasts; a Pipeline and a search have its last step, or its best, do it.

    Parameters
    ----------
    who : object
        Who asks, for the message.
    method : str
        ``predict_quantiles``, ``predict_interval`` or ``predict_dist``.
    estimator : fitted regressor
        Of any kind.
    X : array-like of shape (n, d)
        Rows.
    *arguments
        Of the method.

    Raises
    ------
    TaskError
        If the estimator cannot.
    """
    model = getattr(estimator, "best_estimator_", estimator)
    if isinstance(model, Pipeline):
        return forecast(who, method, model[-1], model[:-1].transform(X) if len(model) > 1 else X, *arguments)
    if not hasattr(model, method):
        raise TaskError(
            f"{who} needs {method}, which {type(model).__name__} does not have; take LossRegressor with a loss of "
            "quantiles or distributions, or QuantileAggregator"
        )
    return getattr(model, method)(X, *arguments)
