"""Sums over the rows of each class of a batch, and the place of each row within its class."""

import torch
from torch import Tensor

__all__ = ["place_in_class", "sums_of_classes"]


def place_in_class(y: Tensor) -> Tensor:
    """Return for each row how many rows of its class stand before it (n,).

    Examples
    --------
    >>> place_in_class(torch.tensor([3, 1, 3, 3, 1]))
    tensor([0, 0, 1, 2, 1])
    """
    order = y.argsort(stable=True)  # class by class
    grouped = y[order]
    first = torch.searchsorted(grouped, grouped)  # (n,) where the class begins
    places = torch.arange(len(y), device=y.device) - first
    return torch.empty_like(places).scatter(0, order, places)


def sums_of_classes(x: Tensor, y: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weighted sums of rows of each class that comes up.

    Parameters
    ----------
    x : Tensor of shape (n, d)
        Rows.
    y : Tensor of shape (n,)
        Class of each row, any numbers.
    weights : Tensor of shape (n,)
        Weight of each row.

    Returns
    -------
    sums : Tensor of shape (p, d)
        One row for each of the p classes in y, in their order.
    totals : Tensor of shape (p,)
        Sums of the weights.
    codes : LongTensor of shape (n,)
        Which of the p classes a row belongs to.

    Examples
    --------
    >>> x, y = torch.tensor([[1.0], [2.0], [5.0]]), torch.tensor([7, 7, 3])
    >>> sums_of_classes(x, y, torch.ones(3))
    (tensor([[5.],
            [3.]]), tensor([1., 2.]), tensor([1, 1, 0]))
    """
    labels, codes = torch.unique(y, return_inverse=True)
    sums = torch.zeros(len(labels), x.shape[1], dtype=x.dtype, device=x.device)
    totals = torch.zeros(len(labels), dtype=weights.dtype, device=x.device)
    return sums.index_add(0, codes, weights[:, None] * x), totals.index_add(0, codes, weights), codes
