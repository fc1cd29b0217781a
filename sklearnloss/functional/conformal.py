"""Conformal quantile regression: shifts of quantiles that give coverage in finite samples, in numpy."""

import math

import numpy as np

from sklearnloss.exceptions import DataError

__all__ = ["cqr_shifts", "needed_rows", "one_sided_shifts", "shifted"]

ROUNDING = 1e-9  # (n + 1) (1 - a) may be an integer that floats miss


def needed_rows(miss: float) -> int:
    """Return how many calibration rows a miscoverage needs at least.

    Examples
    --------
    >>> needed_rows(0.1), needed_rows(0.05), needed_rows(0.5)
    (9, 19, 1)
    """
    return math.ceil(1 / miss - 1 - ROUNDING)


def _ceiling_quantile(scores: np.ndarray, miss: float, what: str) -> float:
    """Return the ceil((n + 1) (1 - miss))-th smallest score."""
    n = len(scores)
    rank = math.ceil((n + 1) * (1 - miss) - ROUNDING)
    if rank > n:
        raise DataError(f"{what} needs at least {needed_rows(miss)} calibration rows, got {n}")
    return float(np.partition(scores, rank - 1)[rank - 1])


def cqr_shifts(y: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return what to add to each quantile so that central intervals cover.

    Parameters
    ----------
    y : array of shape (n,)
        Outcomes of calibration rows.
    quantiles : array of shape (n, w)
        Their quantiles.
    levels : array of shape (w,)
        Rising, symmetric around 0.5.

    Returns
    -------
    array of shape (w,)
        Opposite for the two ends of an interval; zero for the median.

    Raises
    ------
    DataError
        If there are too few rows; it says how many are needed.

    Examples
    --------
    >>> cqr_shifts(np.array([0.0, 3.0, 5.0]), np.array([[0.0, 2.0]] * 3), np.array([0.25, 0.75]))
    array([-1.,  1.])
    """
    shifts = np.zeros(len(levels))
    for j in range(len(levels) // 2):
        low, high = quantiles[:, j], quantiles[:, -1 - j]
        what = f"the interval of the levels {levels[j]:g} and {levels[-1 - j]:g}"
        shifts[-1 - j] = _ceiling_quantile(np.maximum(low - y, y - high), 2 * levels[j], what)
        shifts[j] = -shifts[-1 - j]
    return shifts


def one_sided_shifts(y: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return what to add to each quantile so that bounds on one side cover.

    Parameters and errors are those of `cqr_shifts`; levels need not be symmetric. A level below 0.5 gives a lower
    bound, one of 0.5 or above an upper bound.
    """
    shifts = np.empty(len(levels))
    for j, level in enumerate(levels):
        what = f"the bound of the level {level:g}"
        if level < 0.5:
            shifts[j] = -_ceiling_quantile(quantiles[:, j] - y, level, what)
        else:
            shifts[j] = _ceiling_quantile(y - quantiles[:, j], 1 - level, what)
    return shifts


def shifted(quantiles: np.ndarray, shifts: np.ndarray, levels: np.ndarray, *, ordered: bool) -> np.ndarray:
    """Return quantiles (n, w) plus their shifts, (w,) or (n, w).

    Where ``ordered``, lower ones then move down and upper ones up until none cross: intervals and bounds only grow, so
    what they cover they still cover, which sorting would not promise.
    """
    moved = quantiles + shifts
    if not ordered:
        return moved
    below, above = int((levels < 0.5).sum()), int((levels <= 0.5).sum())
    inner = moved[:, [max(below - 1, 0), min(above, len(levels) - 1)]].mean(axis=1, keepdims=True)
    center = moved[:, below:above] if above > below else inner
    low = np.minimum.accumulate(np.hstack([center, moved[:, :below][:, ::-1]]), axis=1)[:, :0:-1]
    high = np.maximum.accumulate(np.hstack([center, moved[:, above:]]), axis=1)[:, 1:]
    return np.hstack([low, moved[:, below:above], high])
