"""What the metrics of embedded distances share."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["check_square"]


def check_square(name: str, values: ArrayLike, n: int | None = None) -> np.ndarray:
    """Return a square array (n, n) of floats, or say what is wrong with it."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(f"{name} must be a square array, one row and one column per point, got shape {array.shape}")
    if n is not None and len(array) != n:
        raise ValueError(f"{name} must have as many points as the first array, {n}, got {len(array)}")
    if np.isnan(array).any() or (array < 0).any():
        raise ValueError(f"{name} must hold no negative number and no nan, got the least {np.nanmin(array):g}")
    return array
