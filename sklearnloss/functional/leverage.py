"""Leverage scores: how far a least squares fit follows each row, in numpy."""

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

__all__ = ["leverage_scores"]

BLOCK = 8192  # rows of a product
SAFE = 1e8  # condition of X'X up to which its Cholesky factor keeps the digits


def leverage_scores(X: np.ndarray, *, ridge: float = 0.0) -> np.ndarray:
    r"""Return ``x_i' (X' X + ridge I)^+ x_i`` of each row.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows.
    ridge : float in [0, inf), default=0.0
        What is added to the diagonal.

    Returns
    -------
    array of shape (n,)
        In [0, 1]; without a ridge they add up to the rank of X.

    Notes
    -----
    Columns are scaled to length one, which changes nothing without a ridge. If X'X is well conditioned then, it is
    factored, and rows are divided by the factor in blocks: one pass of O(n d^2) at the speed of a product. Otherwise
    the singular values decide what the rank is.

    Examples
    --------
    >>> leverage_scores(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
    array([1. , 0.5, 0.5])
    """
    X = np.asarray(X, dtype=np.float64)
    n, d = X.shape
    if n < d and not ridge:
        return _by_singular_values(X)
    square = X.T @ X
    scale = np.sqrt(np.diag(square))
    scale[scale == 0] = 1
    square /= np.outer(scale, scale)
    square[np.diag_indices(d)] += ridge / scale**2
    values = np.linalg.eigvalsh(square)
    if values[0] * SAFE < values[-1]:
        return _by_singular_values(X, ridge)
    try:
        factor = cholesky(square, lower=True)
    except LinAlgError:
        return _by_singular_values(X, ridge)
    inverse = solve_triangular(factor, np.diag(1 / scale), lower=True).T  # (d, d): rows times it have unit moments
    scores = np.empty(n)
    for start in range(0, n, BLOCK):
        whitened = X[start : start + BLOCK] @ inverse
        np.einsum("ij,ij->i", whitened, whitened, out=scores[start : start + BLOCK])
    return np.minimum(scores, 1)


def _by_singular_values(X: np.ndarray, ridge: float = 0.0) -> np.ndarray:
    if not ridge:  # so that the rank does not depend on the units of a column
        scale = np.abs(X).max(axis=0, initial=0)
        X = X / np.where(scale > 0, scale, 1)
    left, values, _ = np.linalg.svd(X, full_matrices=False)
    kept = values > values.max(initial=0) * max(X.shape) * np.finfo(np.float64).eps
    share = values[kept] ** 2 / (values[kept] ** 2 + ridge)
    return np.asarray(np.minimum((left[:, kept] ** 2) @ share, 1))
