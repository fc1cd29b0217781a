"""Gaussian kernels between rows, by their logarithms."""

from typing import Any

import torch
from torch import Tensor

from sklearnloss.functional.vectors import squared_distances

__all__ = ["log_gaussian", "median_width"]


def log_gaussian(a: Tensor, b: Tensor, width: Any) -> Tensor:
    """Return the logarithms (n, m) of Gaussian kernels between rows (n, d) and (m, d).

    Examples
    --------
    >>> log_gaussian(torch.tensor([[0.0]]), torch.tensor([[2.0]]), 2.0)
    tensor([[-0.5000]])
    """
    return -squared_distances(a, b) / (2 * width**2)


def median_width(x: Tensor) -> Tensor:
    """Return the median distance between different rows, without a gradient; 1 where there is none.

    Examples
    --------
    >>> median_width(torch.tensor([[0.0], [1.0], [3.0]])), median_width(torch.zeros(3, 1))
    (tensor(2.), tensor(1.))
    """
    n = len(x)
    first, second = torch.triu_indices(n, n, offset=1, device=x.device)
    square = squared_distances(x.detach(), x.detach())[first, second]
    if not len(square):
        return torch.ones((), dtype=square.dtype, device=x.device)
    median = square.median()
    return torch.where(median > 0, median, 1.0).sqrt()
