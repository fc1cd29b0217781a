"""Distribution functions that are made of straight lines."""

import numpy as np


def interpolate(x: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Interpolate along the last axis, each row between knots of its own; beyond the ends the ends.

    Where xs repeat, the last of them counts.

    Parameters
    ----------
    x : array that broadcasts with (...,)
        Where.
    xs, ys : array of shape (..., m) or (m,)
        Knots; xs do not fall.

    Examples
    --------
    >>> interpolate(np.array([0.5, 1.0]), np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 2.0, 3.0, 4.0]))
    array([1., 3.])
    """
    shape = np.broadcast_shapes(x.shape, xs.shape[:-1], ys.shape[:-1])
    x = np.broadcast_to(x, shape)
    xs, ys = (np.broadcast_to(knots, (*shape, knots.shape[-1])) for knots in (xs, ys))
    place = np.clip((xs <= x[..., None]).sum(-1) - 1, 0, xs.shape[-1] - 2)[..., None]
    (x0, x1), (y0, y1) = ([np.take_along_axis(k, place + i, -1)[..., 0] for i in (0, 1)] for k in (xs, ys))
    level = x1 <= x0
    share = np.where(level, (x >= x1).astype(float), (x - x0) / np.where(level, 1.0, x1 - x0))
    return np.asarray(y0 + np.clip(share, 0.0, 1.0) * (y1 - y0))


def lines_crps(xs: np.ndarray, levels: np.ndarray, y: np.ndarray, *, ends: bool = True) -> np.ndarray:
    r"""Return :math:`\int (F(x) - [y \le x])^2 dx` of a distribution function that is made of straight lines.

    Parameters
    ----------
    xs, levels : array of shape (..., m) or (m,)
        Knots of the distribution function.
    y : array that broadcasts with (...,)
        Outcomes.
    ends : bool, default=True
        Whether the function is 0 before the first knot and 1 after the last; else only the part between them counts.

    Examples
    --------
    >>> lines_crps(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.5, 2.0])).round(4)
    array([0.0833, 1.3333])
    """
    y = y[..., None]
    low, high = xs[..., :-1], xs[..., 1:]
    below, above = levels[..., :-1], levels[..., 1:]
    cut = np.clip(y, low, high)
    width = high - low
    at = below + (above - below) * np.where(width > 0, (cut - low) / np.where(width > 0, width, 1.0), 0.0)
    first = (cut - low) * (below**2 + below * at + at**2) / 3
    rest = (high - cut) * ((1 - at) ** 2 + (1 - at) * (1 - above) + (1 - above) ** 2) / 3
    score = (first + rest).sum(-1)
    if not ends:
        return np.asarray(score)
    return np.asarray(score + np.maximum(xs[..., 0] - y[..., 0], 0) + np.maximum(y[..., 0] - xs[..., -1], 0))
