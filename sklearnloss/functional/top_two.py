"""The two largest entries of each row, without a sort, in numpy."""

import numpy as np

__all__ = ["top_two"]

BLOCK = 8192  # rows whose columns stay in the cache


def top_two(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest and the second largest entry of each row.

    Parameters
    ----------
    values : array of shape (n, k)
        Rows of two columns at least.

    Returns
    -------
    largest, second : arrays of shape (n,)
        Equal to those of a sort, bit for bit; NaN where a row holds one.

    Notes
    -----
    Columns of a block of rows are compared one after the other: O(n k) with a few columns of memory.

    Examples
    --------
    >>> top_two(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]))
    (array([0.5, 0.4]), array([0.3, 0.4]))
    """
    n, k = values.shape
    largest, second = np.empty(n, values.dtype), np.empty(n, values.dtype)
    spare = np.empty(min(n, BLOCK), values.dtype)
    for start in range(0, n, BLOCK):
        columns = np.ascontiguousarray(values[start : start + BLOCK].T)  # (k, b)
        first, next_ = largest[start : start + BLOCK], second[start : start + BLOCK]
        lower = spare[: len(first)]
        np.maximum(columns[0], columns[1], out=first)
        np.minimum(columns[0], columns[1], out=next_)
        for column in columns[2:k]:
            np.minimum(first, column, out=lower)
            np.maximum(next_, lower, out=next_)
            np.maximum(first, column, out=first)
    return largest, second
