"""A number for each row, equal where rows are, by which rows are told that were labeled before."""

from hashlib import blake2b
from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["row_keys"]

CHUNK = 65_536


def row_keys(X: Any) -> np.ndarray:
    """Return a hash of each row; two different rows share one about once in 2**64 pairs.

    Parameters
    ----------
    X : array, sparse matrix or DataFrame of shape (n, d)
        Rows.

    Returns
    -------
    array of uint64 of shape (n,)

    Examples
    --------
    >>> keys = row_keys(np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]]))
    >>> bool(keys[0] == keys[1]), bool(keys[0] == keys[2])
    (True, False)
    """
    if hasattr(X, "columns"):
        return _mixed([_codes(np.asarray(X[name])) for name in X.columns], X.shape[0])
    if sparse.issparse(X):
        return _sparse_keys(sparse.csr_array(X))
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    keys = np.empty(X.shape[0], dtype=np.uint64)
    for start in range(0, X.shape[0], CHUNK):  # a memory map comes piece by piece
        part = np.asarray(X[start : start + CHUNK]).reshape(-1, int(np.prod(X.shape[1:])))
        keys[start : start + CHUNK] = _mixed([_codes(column) for column in part.T], len(part))
    return keys


def _codes(column: np.ndarray) -> np.ndarray:
    """Return the values of a column as 64 bits each."""
    if column.dtype.kind in "biuf":
        values = column.astype(np.float64) + 0.0  # one zero
        values[np.isnan(values)] = np.nan  # and one NaN
        return values.view(np.uint64)
    return np.fromiter(map(_code, column.tolist()), np.uint64, len(column))


def _code(value: Any) -> int:
    """Return 64 bits of a value: of a number those of a float, of anything else a digest of its text."""
    if isinstance(value, int | float):
        return int(_codes(np.array([value], dtype=np.float64))[0])
    return int.from_bytes(blake2b(repr(value).encode(), digest_size=8).digest(), "little")


def _mixed(columns: list[np.ndarray], n: int) -> np.ndarray:
    keys = np.zeros(n, dtype=np.uint64)
    for place, codes in enumerate(columns):
        keys += _scattered(codes, place)
    return keys


def _scattered(codes: np.ndarray, place: Any) -> np.ndarray:
    """Spread the bits of the values, in another way at each place (the finalizer of SplitMix64)."""
    with np.errstate(over="ignore"):
        bits = codes + (np.asarray(place, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(bits ^ (bits >> np.uint64(31)))


def _sparse_keys(X: Any) -> np.ndarray:
    X.sum_duplicates()
    stored = X.data != 0
    codes = _scattered(_codes(X.data), X.indices) * stored
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(codes, dtype=np.uint64)])
    return np.asarray(sums[X.indptr[1:]] - sums[X.indptr[:-1]])
