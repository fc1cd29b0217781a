"""Weighted sum."""

import torch
from torch import Tensor

from sklearnloss.component import reduction
from sklearnloss.typing import Scalar


@reduction("sum")
def sum(values: Tensor, weights: Tensor) -> Scalar:
    r"""Sum of the weighted values; a larger batch takes a larger step.

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
    .. math:: \sum_i w_i v_i

    References
    ----------
    .. [1] Goyal et al. "Accurate, large minibatch SGD: training ImageNet in 1 hour". 2017.

    Examples
    --------
    >>> sum(torch.tensor([1.0, 2.0, torch.inf]), torch.tensor([1.0, 2.0, 0.0]))
    tensor(5.)
    """
    return torch.where(weights == 0, 0.0, values * weights).sum()
