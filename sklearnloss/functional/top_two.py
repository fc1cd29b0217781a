"""The two largest entries of each row, without a sort, in numpy."""

from collections.abc import Iterator

import numpy as np

__all__ = ["lead", "top_two"]

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
    largest, second = (np.empty(len(values), values.dtype) for _ in range(2))
    for rows, columns in _blocks(values):
        _compare(columns, largest[rows], second[rows])
    return largest, second


def lead(values: np.ndarray) -> np.ndarray:
    """Return by how much the largest entry of each row leads the second largest.

    Parameters
    ----------
    values : array of shape (n, k)
        Rows of two columns at least.

    Returns
    -------
    array of shape (n,)
        As the difference of `top_two`, in less memory.

    Examples
    --------
    >>> lead(np.array([[0.25, 0.5, 0.25], [0.4, 0.4, 0.2]]))
    array([0.25, 0.  ])
    """
    ahead = np.empty(len(values), values.dtype)
    second = np.empty(min(len(values), BLOCK), values.dtype)
    for rows, columns in _blocks(values):
        first, next_ = ahead[rows], second[: columns.shape[1]]
        _compare(columns, first, next_)
        first -= next_
    return ahead


def _blocks(values: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Return the columns of some rows after the other, (k + 1, b), the last one to write to; the memory is the same."""
    n, k = values.shape
    kept = np.empty((k + 1, min(n, BLOCK)), values.dtype)
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        columns = kept[:, : rows.stop - start]
        np.copyto(columns[:k], values[rows].T)
        yield rows, columns


def _compare(columns: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
    lower = columns[-1]
    np.maximum(columns[0], columns[1], out=first)
    np.minimum(columns[0], columns[1], out=second)
    for column in columns[2:-1]:
        np.minimum(first, column, out=lower)
        np.maximum(second, lower, out=second)
        np.maximum(first, column, out=first)
