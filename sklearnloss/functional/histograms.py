"""Histograms that are differentiable in what they count."""

import torch
from torch import Tensor

__all__ = ["BEYOND", "soft_histogram"]

BEYOND = 3  # so many bins past the last node nothing is counted


def soft_histogram(places: Tensor, bins: int) -> Tensor:
    """Share every entry between the two nodes that it lies between, and return the sums (b, bins + 1).

    Parameters
    ----------
    places : Tensor of shape (b, k)
        In units of a bin, 0 to ``bins``; entries at ``bins + BEYOND`` are not counted.
    bins : int
        The nodes are 0, 1, ..., ``bins``.

    Examples
    --------
    >>> soft_histogram(torch.tensor([[0.0, 0.25, 2.0, 5.0]]), bins=2)
    tensor([[1.7500, 0.2500, 1.0000]])
    """
    with torch.no_grad():
        left = (places.ceil() - 1).clamp_min(0)  # (b, k)
        left = torch.where(left == bins, bins - 1.0, left)  # rounding may carry the last a little too far
    right_share = places - left  # (b, k)
    place = left.long()
    sums = places.new_zeros(len(places), bins + BEYOND + 2)
    sums = sums.scatter_add(1, place, 1 - right_share).scatter_add(1, place + 1, right_share)
    return sums[:, : bins + 1]
