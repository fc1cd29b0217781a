"""Magnitude of a metric space, and what each further point would add to it, in numpy."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist, pdist

__all__ = ["Magnitude", "magnitude", "usual_scale"]

SAMPLE = 1000  # points whose distances tell the median
TINY = 1e-10  # a pivot below is that of a duplicate
RIDGE = 1e-10


def usual_scale(points: np.ndarray, rng: np.random.Generator) -> float:
    """Return one over the median distance of some points.

    Examples
    --------
    >>> usual_scale(np.array([[0.0], [2.0]]), np.random.default_rng(0))
    0.5
    """
    if len(points) > SAMPLE:
        points = points[rng.choice(len(points), SAMPLE, replace=False)]
    middle = float(np.median(pdist(points))) if len(points) > 1 else 0.0
    return 1 / middle if middle > 0 else 1.0


def magnitude(points: np.ndarray, scale: float) -> float:
    """Return the magnitude of points: the sum of w in ``exp(-scale * distances) w = 1``.

    Parameters
    ----------
    points : array of shape (n, d)
        Points; duplicates count once.
    scale : float in (0, inf)
        Factor of the distances.

    Examples
    --------
    >>> round(magnitude(np.array([[0.0], [0.7]]), 1.0), 5)
    1.33638
    """
    distinct = np.unique(points, axis=0)
    similar = np.exp(-scale * cdist(distinct, distinct))
    similar[np.diag_indices(len(distinct))] += RIDGE
    return float(cho_solve(cho_factor(similar), np.ones(len(distinct))).sum())


class Magnitude:
    """A set that grows by points of a pool, and what each point of the pool would add to its magnitude.

    Parameters
    ----------
    pool : array of shape (n, d)
        Points that may be added.
    points : array of shape (m, d)
        Points to begin with.
    scale : float in (0, inf)
        Factor of the distances.

    Attributes
    ----------
    increase : array of shape (n,)
        What each point would add; zero for duplicates of points in the set.
    total : float
        Magnitude of the set.

    Notes
    -----
    Similarities are projected on the set one point after the other (Gram-Schmidt in the kernel): each point keeps the
    residual of its own similarity, and that of one. A step takes O(n) times the points in the set.

    Examples
    --------
    >>> space = Magnitude(np.array([[0.7], [0.0]]), np.array([[0.0]]), 1.0)
    >>> space.increase.round(5), round(float(space.total), 5)
    (array([0.33638, 0.     ]), 1.0)
    """

    def __init__(self, pool: np.ndarray, points: np.ndarray, scale: float) -> None:
        self.all = np.concatenate([pool, points])
        self.size, self.scale = len(pool), scale
        self.own = np.ones(len(self.all))  # 1 - z' Z^-1 z of each
        self.rest = np.ones(len(self.all))  # 1 - z' w of each
        self.basis = np.empty((0, len(self.all)))  # similarities to the orthonormalized points of the set
        self.total = 0.0
        for place in range(self.size, len(self.all)):
            self.add(place)

    @property
    def increase(self) -> np.ndarray:
        """What each point of the pool would add."""
        own, rest = self.own[: self.size], self.rest[: self.size]
        return np.where(own > TINY, rest**2 / np.maximum(own, TINY), 0.0)

    def add(self, place: int) -> None:
        """Add a point; a duplicate changes nothing."""
        pivot = self.own[place]
        if pivot <= TINY:
            return
        similar = np.exp(-self.scale * cdist(self.all[place : place + 1], self.all)[0])
        direction = (similar - self.basis[:, place] @ self.basis) / np.sqrt(pivot)
        along = self.rest[place] / np.sqrt(pivot)
        self.basis = np.vstack([self.basis, direction])
        self.own = self.own - direction**2
        self.rest = self.rest - along * direction
        self.total += along**2
