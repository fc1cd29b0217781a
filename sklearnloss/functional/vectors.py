"""Rows of unit length and distances between rows that stay finite, value and gradient, where they are not smooth."""

import torch
from torch import Tensor

__all__ = ["distances", "signal_to_noise", "squared_distances", "squares_and_rounding", "unit_rows"]


def unit_rows(x: Tensor) -> Tensor:
    """Return vectors (..., d) divided by their length; one shorter than 1e-12 becomes zeros, without a gradient.

    Dividing by a small number instead would multiply the gradient of such a vector by 1e12.

    Examples
    --------
    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)  # (..., 1)
    # the gradient grows with one over the length, and a square below 1e-38 has no digits in float32
    return torch.where(length > 1e-12, x / length.clamp(min=1e-12), 0.0)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return squared Euclidean distances (n, m) between rows (n, d) and (m, d), by one product of matrices.

    They are computed in float32 at least, whatever autocast says: differences of squares lose digits.

    Examples
    --------
    >>> squared_distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[25.,  1.]])
    """
    return squares_and_rounding(a, b)[0]


def squares_and_rounding(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return `squared_distances`, and to what they are known, (n, m): below it they are rounding.

    Examples
    --------
    >>> square, known = squares_and_rounding(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0]]))
    >>> bool((square <= known).all())
    True
    """
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    with torch.autocast(a.device.type, enabled=False):
        a, b = a.to(dtype), b.to(dtype)
        centre = b.detach().mean(dim=0)  # distances do not see it, and squares grow less without it
        a, b = a - centre, b - centre
        sides = a.square().sum(1)[:, None] + b.square().sum(1)  # (n, m)
        return (sides - 2 * a @ b.T).clamp(min=0), torch.finfo(dtype).eps * sides.detach()


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Return Euclidean distances (n, m) between rows; not below 1e-6, where there is no gradient.

    Examples
    --------
    >>> distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """
    return squared_distances(a, b).clamp(min=1e-12).sqrt()


def signal_to_noise(a: Tensor, b: Tensor) -> Tensor:
    """Return the variance of ``a[i] - b[j]`` over that of ``a[i]``, (n, m).

    It sees neither the mean of a row nor a common factor, and is not symmetric. A row of ``a`` whose squared deviations
    sum to less than 1e-8 has nothing to compare with: its distances are zero, without a gradient. Rounding may take the
    distance of equal rows a little below zero.

    Examples
    --------
    >>> signal_to_noise(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[1.0, 2.0, 3.0, 6.0]]))
    tensor([[0.6000]])
    """
    a, b = (t - t.mean(1, keepdim=True) for t in (a, b))
    signal = a.square().sum(1, keepdim=True)  # (n, 1)
    exists = signal > 1e-8
    inverse = torch.where(exists, 1 / torch.where(exists, signal, 1.0), 0.0)
    # (|a|^2 + |b|^2 - 2 a.b) / |a|^2 as one dot product, so that nothing but the product passes over (n, m)
    left = torch.cat([exists.to(a.dtype), inverse, -2 * inverse * a], dim=1)  # (n, d + 2)
    right = torch.cat([torch.ones_like(b[:, :1]), b.square().sum(1, keepdim=True), b], dim=1)  # (m, d + 2)
    return left @ right.T
