"""Hyperbolic space of curvature -1: distances between tangent vectors at the origin, and in the Poincaré ball."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sklearnloss.functional.vectors import squared_distances

__all__ = ["hyperbolic_distances", "poincare_distances"]

LONGEST = 12.0  # in the ball it ends 1e-5 before the border


def hyperbolic_distances(x: Tensor) -> Tensor:
    """Return the distances (n, n) between the points that tangent vectors (n, d) at the origin lead to.

    The length of a vector is the distance of its point from the origin; one longer than 12 counts as 12. Computed in
    float64, as the points of long vectors differ in the last digits only. A distance below 2e-7 has no gradient.

    Examples
    --------
    >>> hyperbolic_distances(torch.tensor([[3.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))[0]
    tensor([2.0000e-07, 4.0000e+00, 3.0000e+00], dtype=torch.float64)
    """
    x = x.double()
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)  # (n, 1)
    x = x * (LONGEST / length.clamp(min=LONGEST))
    length = length.clamp(max=LONGEST)
    short = length < 1e-2  # where the series is exact to the last digit
    stretch = torch.where(
        short, 1 + length.square() / 6 + length.pow(4) / 120, torch.sinh(length) / length.clamp(min=1e-2)
    )
    space = stretch * x  # (n, d), on the hyperboloid
    time = (1 + space.square().sum(1)).sqrt()  # (n,)
    chord = squared_distances(space, space) - (time[:, None] - time).square()  # (n, n), 4 sinh(D / 2) ** 2
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)  # where far from the origin rounding would show
    return 2 * torch.asinh((chord.masked_fill(itself, 0.0) / 4).clamp(min=1e-14).sqrt())


def poincare_distances(points: ArrayLike) -> np.ndarray:
    """Return the hyperbolic distances between points of the Poincaré ball.

    Parameters
    ----------
    points : array-like of shape (n, d)
        Rows shorter than one.

    Returns
    -------
    array of shape (n, n)

    Raises
    ------
    ValueError
        If a row is not shorter than one.

    Examples
    --------
    >>> poincare_distances([[0.0, 0.0], [0.5, 0.0]]).round(4)  # log(3)
    array([[0.    , 1.0986],
           [1.0986, 0.    ]])
    """
    points = np.asarray(points, dtype=np.float64)
    room = 1 - np.square(points).sum(axis=1)  # (n,)
    if (room <= 0).any():
        row = int(room.argmin())
        raise ValueError(
            f"points must lie inside the ball, got a row of length {np.linalg.norm(points[row]):.6g} (row {row})"
        )
    gram = points @ points.T
    squares = gram.diagonal()
    apart = np.maximum(squares[:, None] + squares - 2 * gram, 0)  # (n, n)
    np.fill_diagonal(apart, 0)
    return 2 * np.arcsinh(np.sqrt(apart / np.outer(room, room)))
