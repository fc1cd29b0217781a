"""Greedy sampling for regression: rows far from the labeled ones, in inputs, outputs or both, in numpy."""

import numpy as np
from scipy.spatial.distance import cdist

__all__ = ["greedy_rows", "standardized"]

BLOCK = 2**21  # distances that are held at a time


def standardized(pool: np.ndarray, labeled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both with each column divided by its standard deviation over all rows; a constant column stays.

    Examples
    --------
    >>> standardized(np.array([[1.0], [3.0]]), np.array([[1.0], [3.0]]))[0].ravel().tolist()
    [1.0, 3.0]
    """
    scale = np.concatenate([pool, labeled]).std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    return pool / scale, labeled / scale


def greedy_rows(
    pool: tuple[np.ndarray, ...], labeled: tuple[np.ndarray, ...], n: int, rng: np.random.Generator
) -> np.ndarray:
    """Return rows one after the other, each with the largest smallest product of distances to those before.

    Parameters
    ----------
    pool : tuple of arrays of shape (n_pool, d)
        Places of the rows in one space or several.
    labeled : tuple of arrays of shape (m, d)
        Places of the rows with labels; without any the first row is drawn at random.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws the first row.

    Returns
    -------
    array of shape (n,)

    Examples
    --------
    >>> places = (np.array([[0.0], [1.0], [4.0]]),)
    >>> greedy_rows(places, (np.array([[0.5]]),), 2, np.random.default_rng(0)).tolist()
    [2, 0]
    """
    pool = tuple(np.ascontiguousarray(places, dtype=np.float64) for places in pool)
    size = len(pool[0])
    nearest = np.full(size, np.inf)
    chosen: list[int] = []
    if len(labeled[0]):
        _bring_near(nearest, pool, labeled)
    else:
        chosen.append(int(rng.integers(size)))
    while True:
        if chosen:
            _bring_near(nearest, pool, tuple(places[chosen[-1:]] for places in pool))
            nearest[chosen[-1]] = -np.inf
        if len(chosen) == n:
            return np.array(chosen)
        chosen.append(int(nearest.argmax()))


def _bring_near(nearest: np.ndarray, pool: tuple[np.ndarray, ...], rows: tuple[np.ndarray, ...]) -> None:
    """Lower the least products of distances, in place, to those of these rows where they are smaller."""
    step = max(1, BLOCK // len(rows[0]))
    for start in range(0, len(nearest), step):
        product = np.ones(())
        for places, others in zip(pool, rows, strict=True):
            product = product * cdist(places[start : start + step], others)  # (b, m)
        part = nearest[start : start + step]
        np.minimum(part, product.min(axis=1), out=part)
