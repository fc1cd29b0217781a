"""Choosing rows by a number each, in numpy."""

import numpy as np

__all__ = ["largest"]


def largest(utilities: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows with the largest utilities, the largest first; ties are broken at random.

    Parameters
    ----------
    utilities : array of shape (m,)
        A number for each row; one of NaN is never chosen.
    n : int
        How many are wanted, not more than there are numbers.
    rng : numpy Generator
        What breaks ties.

    Returns
    -------
    array of shape (n,)
        Row numbers.

    Notes
    -----
    O(m), and the sort of the n.

    Examples
    --------
    >>> largest(np.array([0.1, 0.7, np.nan, 0.4]), 2, np.random.default_rng(0))
    array([1, 3])
    """
    rows = np.flatnonzero(~np.isnan(utilities))
    values = utilities[rows]
    if n < len(rows):
        bound = np.partition(values, len(rows) - n)[len(rows) - n]
        above, level = np.flatnonzero(values > bound), np.flatnonzero(values == bound)
        keep = np.concatenate([above, rng.choice(level, n - len(above), replace=False)])
        rows, values = rows[keep], values[keep]
    order = np.lexsort([rng.random(len(rows)), -values])
    return rows[order]
