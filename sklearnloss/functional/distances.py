"""Distances between all rows of two arrays, in one matrix product."""

import torch
from torch import Tensor

__all__ = ["signal_to_noise"]


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
