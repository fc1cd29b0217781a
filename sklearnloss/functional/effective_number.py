"""Weights of classes by the effective number of their rows."""

from typing import Any

import torch
from torch import Tensor

from sklearnloss.functional.numerics import absent_as_rarest

__all__ = ["effective_weights"]


def effective_weights(class_counts: Tensor, beta: Any) -> Tensor:
    """Return weights (k,), the inverse of each class's effective number, with mean one over the training rows.

    Parameters
    ----------
    class_counts : Tensor of shape (k,)
        Rows of each class; one without rows counts as the rarest that has any.
    beta : float or Tensor of shape (k,)
        In [0, 1): how much a further row of a class repeats those before. 0 gives equal weights, ``beta -> 1`` the
        inverse of the counts.

    Examples
    --------
    >>> effective_weights(torch.tensor([3.0, 1.0]), 0.5)  # effective numbers 1.75 and 1
    tensor([0.8421, 1.4737])
    """
    counts = absent_as_rarest(class_counts)
    beta = torch.as_tensor(beta, dtype=counts.dtype, device=counts.device)
    weights = (1 - beta) / -torch.expm1(counts * beta.log())  # at beta = 0 the logarithm is -inf, and the weight 1
    return weights * class_counts.sum() / (class_counts * weights).sum()
