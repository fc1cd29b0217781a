"""Blocks of columns, or boxes of images, that mixups take from another row."""

import torch
from torch import Tensor

from sklearnloss.typing import Generator

__all__ = ["block_mask"]


def block_mask(X: Tensor, share: Tensor, rng: Generator, *, cut: bool) -> tuple[Tensor, Tensor]:
    """Draw where a block lies, one for all rows.

    Parameters
    ----------
    X : Tensor of shape (n, d) or (n, c, ...)
        Columns go round: a block may begin at the last and end at the first. Boxes span all channels, and the same
        share of each further axis.
    share : Tensor of shape ()
        Of the columns or pixels, rounded to whole ones, in [0, 1].
    rng : torch.Generator
        Source of the place.
    cut : bool
        Whether boxes are drawn by their middle, and cut off at the border; else they lie within.

    Returns
    -------
    mask : Tensor of shape (1, d) or (1, 1, ...)
        Whether an entry is of the block.
    share : Tensor of shape ()
        What share of the entries is.
    """
    table = X.ndim == 2
    axes = range(1, 2) if table else range(2, X.ndim)
    mask = torch.ones([1] * X.ndim, dtype=torch.bool, device=X.device)
    for axis in axes:
        size = X.shape[axis]
        side = (share ** (1 / len(axes)) * size).round().long()
        place = torch.rand((), generator=rng, dtype=torch.float64, device=X.device)
        span = size if table or cut else size - side + 1
        first = (place * span).long()
        if cut and not table:
            first = first - side // 2
        number = torch.arange(size, device=X.device)
        inside = (number - first) % size < side if table else (number >= first) & (number < first + side)
        mask = mask & inside.reshape([-1 if a == axis else 1 for a in range(X.ndim)])
    return mask, mask.double().mean()
