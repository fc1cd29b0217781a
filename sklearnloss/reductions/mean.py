"""Weighted mean."""

import torch
from torch import Tensor

from sklearnloss.component import reduction
from sklearnloss.typing import Scalar


@reduction("mean")
def mean(values: Tensor, weights: Tensor) -> Scalar:
    r"""Sum of the weighted values over their number.

    The weights have mean one over the training rows, not over the batch, so the gradient of a batch is an unbiased
    estimate of that of the training set.

    Parameters
    ----------
    values : Tensor of shape (n,)
        One value per unit.
    weights : Tensor of shape (n,)
        Not negative; a value of weight zero counts for nothing, even if it is infinite.

    Returns
    -------
    Tensor of shape ()

    Notes
    -----
    .. math:: \frac1n \sum_i w_i v_i

    References
    ----------
    .. [1] Horvitz, Thompson. "A generalization of sampling without replacement from a finite universe". JASA 47, 1952.

    Examples
    --------
    >>> mean(torch.tensor([1.0, 2.0, torch.inf]), torch.tensor([1.0, 2.0, 0.0]))
    tensor(1.6667)
    """
    return torch.where(weights == 0, 0.0, values * weights).sum() / values.numel()
