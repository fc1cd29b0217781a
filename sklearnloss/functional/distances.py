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
    noise = torch.addmm(b.square().sum(1), a, b.T, alpha=-2) + signal  # (n, m)
    return noise / torch.where(signal > 1e-8, signal, torch.inf)
