"""Magnitude of a metric space, and what each further point would add to it, in numpy."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist, pdist

__all__ = ["Magnitude", "magnitude", "usual_scale"]

SAMPLE = 1000  # points whose distances tell the median
TINY = 1e-10  # a pivot below is that of a duplicate
RIDGE = 1e-10
BLOCK = 64  # points that are projected at once


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
    residual of its own similarity, and that of one. A step takes O(n + m) times the points in the set, and so much
    memory do all of them.

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
        self.basis = np.empty((len(points), len(self.all)))  # similarities to the orthonormalized points of the set,
        self.rank = 0  # of which so many are there
        self.total = 0.0
        for start in range(self.size, len(self.all), BLOCK):
            self._add(np.arange(start, min(start + BLOCK, len(self.all))))

    @property
    def increase(self) -> np.ndarray:
        """What each point of the pool would add."""
        own, rest = self.own[: self.size], self.rest[: self.size]
        return np.where(own > TINY, rest**2 / np.maximum(own, TINY), 0.0)

    def add(self, place: int) -> None:
        """Add a point; a duplicate changes nothing."""
        self._add(np.array([place]))

    def _add(self, places: np.ndarray) -> None:
        start = self.rank
        similar = np.exp(-self.scale * cdist(self.all[places], self.all))  # (b, n + m)
        similar -= self.basis[:start, places].T @ self.basis[:start]
        for direction, place in zip(similar, places, strict=True):
            pivot = self.own[place]
            if pivot <= TINY:
                continue
            new = self.basis[start : self.rank]  # of this block
            direction -= new[:, place] @ new
            direction /= np.sqrt(pivot)
            along = self.rest[place] / np.sqrt(pivot)
            if self.rank == len(self.basis):
                self.basis = np.concatenate([self.basis, np.empty((max(BLOCK, self.rank), len(self.all)))])
            self.basis[self.rank] = direction
            self.rank += 1
            self.own -= direction**2
            self.rest -= along * direction
            self.total += along**2
