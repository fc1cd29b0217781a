"""Greedy sampling for regression: rows far from the labeled ones, in inputs, outputs or both, in numpy."""

import numpy as np

__all__ = ["greedy_rows", "standardized"]


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
    size = len(pool[0])
    nearest = np.full(size, np.inf)
    for row in zip(*labeled, strict=True):
        np.minimum(nearest, _product(pool, row), out=nearest)
    chosen: list[int] = []
    if not len(labeled[0]):
        chosen.append(int(rng.integers(size)))
    while True:
        if chosen:
            np.minimum(nearest, _product(pool, tuple(space[chosen[-1]] for space in pool)), out=nearest)
            nearest[chosen[-1]] = -np.inf
        if len(chosen) == n:
            return np.array(chosen)
        chosen.append(int(nearest.argmax()))


def _product(pool: tuple[np.ndarray, ...], row: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the product over spaces of the distances of all rows to one."""
    product = np.ones(len(pool[0]))
    for places, place in zip(pool, row, strict=True):
        away = places - place
        product *= np.sqrt(np.einsum("ij,ij->i", away, away))
    return product
