"""Sums and means over the rows of bags, and what a mixup says of the bags that it merged."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["BagParts", "bag_log_mean", "bag_mean", "bag_sum", "log_shares", "proportion_cross_entropy"]


class BagParts(NamedTuple):
    """Where the rows of each bag come from.

    Attributes
    ----------
    first, second : Tensor of shape (b, k)
        Proportions of the bags that rows were taken of.
    n_first, n_second : Tensor of shape (b,)
        Rows taken of each; a bag that was not merged has none of the second.
    size_first, size_second : Tensor of shape (b,)
        Rows that the bags had.
    """

    first: Tensor
    second: Tensor
    n_first: Tensor
    n_second: Tensor
    size_first: Tensor
    size_second: Tensor


def bag_sum(values: Tensor, bag: Tensor, n_bags: int) -> Tensor:
    """Return the sum over the rows of each bag, (b, ...).

    Parameters
    ----------
    values : Tensor of shape (n, ...)
        A value per row.
    bag : Tensor of shape (n,)
        Bag of each row, 0..b-1.
    n_bags : int
        Number of bags b.

    Examples
    --------
    >>> bag_sum(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0, 0, 1]), 2)
    tensor([3., 5.])
    """
    sums = values.new_zeros((n_bags, *values.shape[1:]))
    if values.device.type == "cuda":  # index_add adds there in any order; this sorts, and gives the same bits each time
        return sums.index_put((bag,), values, accumulate=True)
    return sums.index_add(0, bag, values)


def log_shares(bag: Tensor, n_bags: int, sample_weight: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Return the logarithm of each row's share of its bag, (n,): equal, or by weight.

    Examples
    --------
    >>> log_shares(torch.tensor([0, 0, 1]), 2, torch.tensor([1.0, 3.0, 2.0]), torch.float32).exp()
    tensor([0.2500, 0.7500, 1.0000])
    """
    weight = torch.ones(len(bag), dtype=dtype, device=bag.device) if sample_weight is None else sample_weight.to(dtype)
    return weight.log() - bag_sum(weight, bag, n_bags).log()[bag]


def bag_mean(values: Tensor, bag: Tensor, n_bags: int, sample_weight: Tensor | None = None) -> Tensor:
    """Return the mean over the rows of each bag, (b, ...), by weight if there are weights.

    Examples
    --------
    >>> bag_mean(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0, 0, 1]), 2, torch.tensor([3.0, 1.0, 1.0]))
    tensor([1.2500, 5.0000])
    """
    share = log_shares(bag, n_bags, sample_weight, values.dtype).exp()
    return bag_sum(values * share.reshape(-1, *(1,) * (values.ndim - 1)), bag, n_bags)


def bag_log_mean(log_values: Tensor, bag: Tensor, n_bags: int, sample_weight: Tensor | None = None) -> Tensor:
    """Return the logarithm of the mean of positive values over each bag, (b, k), from their logarithms.

    A value that underflows loses nothing: the largest of a bag is taken out first.

    Examples
    --------
    >>> bag_log_mean(torch.tensor([[-300.0], [-302.0]]), torch.tensor([0, 0]), 1)
    tensor([[-300.5662]])
    """
    terms = log_values + log_shares(bag, n_bags, sample_weight, log_values.dtype)[:, None]
    top = torch.full((n_bags, terms.shape[1]), -torch.inf, dtype=terms.dtype, device=terms.device)
    top = top.scatter_reduce(0, bag[:, None].expand_as(terms), terms.detach(), "amax")
    return top + bag_sum((terms - top[bag]).exp(), bag, n_bags).log()


def proportion_cross_entropy(
    logits: Tensor, y: Tensor, bag: Tensor, n_bags: int, sample_weight: Tensor | None = None
) -> Tensor:
    """Return the cross entropy of proportions (b, k) with the mean prediction of each bag, (b,)."""
    mean = bag_log_mean(logits.log_softmax(1), bag, n_bags, sample_weight)
    return -torch.where(y > 0, y * mean, 0.0).sum(1)
