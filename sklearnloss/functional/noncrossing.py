"""Quantiles that do not cross: three ways to put the values of rising levels in order, in torch, with gradients."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["WAYS", "crossing_margin", "isotonic", "minmax", "pool_sizes", "uncrossed"]


def pool_sizes(values: np.ndarray) -> np.ndarray:
    """Return the sizes of the pools that the pool-adjacent-violators algorithm makes of each row.

    Parameters
    ----------
    values : array of shape (n, w)
        Rows.

    Returns
    -------
    array of int of shape (n, w)
        Sizes from the left, then zeros; each row sums to w.

    Examples
    --------
    >>> pool_sizes(np.array([[1.0, 3.0, 2.0, 4.0], [3.0, 2.0, 1.0, 0.0]]))
    array([[1, 2, 1, 0],
           [4, 0, 0, 0]])
    """
    n, w = values.shape
    total, size, top = np.zeros((n, w)), np.zeros((n, w), dtype=np.intp), np.full(n, -1)
    for column in range(w):
        top += 1
        rows = np.arange(n)
        total[rows, top], size[rows, top] = values[:, column], 1
        while len(rows := rows[top[rows] > 0]):  # all rows at once; only those still in the wrong order go on
            here, left = top[rows], top[rows] - 1
            rows = rows[total[rows, left] / size[rows, left] > total[rows, here] / size[rows, here]]
            here, left = top[rows], top[rows] - 1
            total[rows, left] += total[rows, here]
            size[rows, left] += size[rows, here]
            total[rows, here], size[rows, here] = 0.0, 0
            top[rows] -= 1
    return size


class _Isotonic(torch.autograd.Function):
    """Means of pools; the gradient of a mean goes to all of its pool."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        flat = values.detach().reshape(-1, values.shape[-1])
        sizes = torch.from_numpy(pool_sizes(flat.double().cpu().numpy()).ravel())
        sizes = sizes[sizes > 0].to(values.device)
        ctx.pool, ctx.sizes = torch.repeat_interleave(sizes), sizes
        return _pooled(values, ctx.pool, ctx.sizes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _pooled(gradients[0], ctx.pool, ctx.sizes)


def _pooled(values: Tensor, pool: Tensor, sizes: Tensor) -> Tensor:
    flat = values.reshape(-1)
    means = torch.zeros(len(sizes), dtype=values.dtype, device=values.device).index_add_(0, pool, flat) / sizes
    # a pool of one keeps its value to the bit
    return torch.where(sizes[pool] == 1, flat, means[pool]).reshape(values.shape)


def isotonic(values: Tensor) -> Tensor:
    """Return the nearest rising values in the sense of least squares: neighbours in the wrong order become their mean.

    Examples
    --------
    >>> isotonic(torch.tensor([[1.0, 3.0, 2.0, 4.0]]))
    tensor([[1.0000, 2.5000, 2.5000, 4.0000]])
    """
    result: Tensor = _Isotonic.apply(values)  # type: ignore[no-untyped-call]
    return result


def minmax(values: Tensor, center: int) -> Tensor:
    """Return values that fall from the center to the left and rise from it to the right, by running extremes.

    Examples
    --------
    >>> minmax(torch.tensor([[1.0, 0.0, 2.0, 4.0, 3.0]]), 2)
    tensor([[0., 0., 2., 4., 4.]])
    """
    low = values[..., : center + 1].flip(-1).cummin(-1).values.flip(-1)
    high = values[..., center:].cummax(-1).values
    return torch.cat([low, high[..., 1:]], dim=-1)


def _sorted(values: Tensor, center: int) -> Tensor:
    return values.sort(-1).values


def _isotonic(values: Tensor, center: int) -> Tensor:
    return isotonic(values)


WAYS = {"sort": _sorted, "isotonic": _isotonic, "minmax": minmax}


def uncrossed(values: Tensor, how: str, levels: Tensor) -> Tensor:
    """Return values in rising order along the last axis.

    Parameters
    ----------
    values : Tensor of shape (..., w)
        Quantiles.
    how : {"sort", "isotonic", "minmax"}
        Sorted; pooled; or running extremes from the level next to 0.5. The first two never raise the mean pinball loss
        of a row.
    levels : Tensor of shape (w,)
        Rising levels.
    """
    return WAYS[how](values, int((levels - 0.5).abs().argmin()))


def crossing_margin(values: Tensor, levels: Tensor, margin: float) -> Tensor:
    """Return by how much pairs of levels miss a distance of ``margin`` times that of their levels, (...), the mean.

    Examples
    --------
    >>> crossing_margin(torch.tensor([[2.0, 1.0, 3.0]]), torch.tensor([0.1, 0.5, 0.9]), 0.0)
    tensor([0.3333])
    """
    low, high = torch.triu_indices(len(levels), len(levels), offset=1, device=values.device)
    if not len(low):
        return values.new_zeros(values.shape[:-1])
    wanted = margin * (levels[high] - levels[low])
    return (values[..., low] - values[..., high] + wanted).clamp_min(0).mean(-1)
