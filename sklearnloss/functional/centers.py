"""Points that are far from each other: greedy k-centre, exact, with a list of candidates, in numpy."""

import numpy as np

__all__ = ["farthest_points", "nearest_squared"]

LIST = 2048  # candidates that are kept up to date
BLOCK = 8192  # rows of a product


def nearest_squared(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return the squared distance of each point to its nearest center.

    Parameters
    ----------
    points : array of shape (n, d)
        Points.
    centers : array of shape (m, d)
        Centers; without any, distances are infinite.

    Returns
    -------
    array of shape (n,)

    Examples
    --------
    >>> nearest_squared(np.array([[0.0], [3.0]]), np.array([[1.0], [5.0]]))
    array([1., 4.])
    """
    nearest = np.full(len(points), np.inf)
    _bring_near(nearest, points, _squares(points), centers)
    return nearest


def farthest_points(
    points: np.ndarray, n: int, *, centers: np.ndarray | None = None, rng: np.random.Generator
) -> np.ndarray:
    """Return points one after the other, each the farthest from all centers and from those before it.

    Parameters
    ----------
    points : array of shape (m, d)
        Candidates.
    n : int
        How many are wanted, at most m; none is returned twice.
    centers : array of shape (c, d) or None, default=None
        Where it begins; without any, at a random point.
    rng : numpy Generator
        What draws that point.

    Returns
    -------
    array of shape (n,)
        Numbers of points.

    Notes
    -----
    Distances only shrink. So those of all points are upper bounds, and while the farthest of a list of the largest
    bounds stays above the largest bound outside, it is the farthest of all: only the list is brought up to date.

    Examples
    --------
    >>> farthest_points(np.array([[0.0], [1.0], [10.0]]), 2, centers=np.array([[2.0]]), rng=np.random.default_rng(0))
    array([2, 0])
    """
    points = np.ascontiguousarray(points, dtype=np.float32 if points.dtype == np.float32 else np.float64)
    centers = points[:0] if centers is None else centers.astype(points.dtype, copy=False)
    shift = points.mean(axis=0)  # far from the origin squares lose the digits of differences
    points, centers = points - shift, centers - shift
    squares = _squares(points)
    bounds = np.full(len(points), np.inf, dtype=points.dtype)
    chosen: list[int] = []
    if n and not len(centers):
        chosen.append(int(rng.integers(len(points))))
        centers = points[chosen]
    _bring_near(bounds, points, squares, centers)
    bounds[chosen] = -np.inf
    seen = len(chosen)  # of the chosen, so many are in all bounds
    while len(chosen) < n:
        _bring_near(bounds, points, squares, points[chosen[seen:]])
        bounds[chosen[seen:]] = -np.inf
        seen = len(chosen)
        _pick_from_list(bounds, points, squares, chosen, n)
    return np.array(chosen, dtype=np.int64)


def _pick_from_list(bounds: np.ndarray, points: np.ndarray, squares: np.ndarray, chosen: list[int], n: int) -> None:
    """Choose from the candidates with the largest bounds as long as it is certain that none outside is farther."""
    size = min(LIST, len(bounds))
    listed = np.argpartition(bounds, len(bounds) - size)[len(bounds) - size :]
    distance = bounds[listed]
    outside = -np.inf if size == len(bounds) else distance.min()
    near, near_squares = points[listed], squares[listed]
    while len(chosen) < n:
        best = int(distance.argmax())
        if distance[best] < outside:
            return  # one outside may be farther now
        chosen.append(int(listed[best]))
        to_new = near_squares - 2 * (near @ near[best]) + near_squares[best]
        np.maximum(to_new, 0, out=to_new)
        np.minimum(distance, to_new, out=distance)
        distance[best] = -np.inf


def _squares(points: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", points, points)


def _bring_near(nearest: np.ndarray, points: np.ndarray, squares: np.ndarray, centers: np.ndarray) -> None:
    """Lower the squared distances, in place, to those of the centers where these are nearer."""
    if not len(centers):
        return
    center_squares = _squares(centers)
    rows = max(1, BLOCK * 64 // max(len(centers), 64))
    for start in range(0, len(points), rows):
        block = points[start : start + rows] @ centers.T  # (b, c)
        block *= -2
        block += center_squares
        shortest = block.min(axis=1) + squares[start : start + rows]
        part = nearest[start : start + rows]
        np.minimum(part, np.maximum(shortest, 0), out=part)
