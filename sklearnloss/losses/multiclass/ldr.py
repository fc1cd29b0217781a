"""Label-distributionally robust loss."""

import math
from typing import Annotated

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.typing import Labels, Logits, PerRow


@loss("ldr", task="multiclass")
def ldr(
    logits: Logits,
    y: Labels,
    *,
    lam: Annotated[Positive, Search(0.1, 10, log=True)] = 1.0,
    margin: Annotated[NonNegative, Search(0.1, 10, log=True)] = 1.0,
) -> PerRow:
    r"""Soft maximum of the gaps between the other classes and the true one.

    ``lam`` moves smoothly from the hardest competitor (small) to the average one (large).
    At ``lam=1, margin=0`` it is cross entropy minus ``log(k)``.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    lam : float in (0, inf), default=1.0
        Temperature of the soft maximum.
    margin : float in [0, inf), default=1.0
        Amount by which the true class must lead.

    Returns
    -------
    Tensor of shape (n,)
        One value per row; may be negative, never below ``-lam * log(k)``.

    Notes
    -----
    .. math:: \ell = \lambda \log \frac1k \sum_j \exp\frac{z_j - z_y + m\,[j \ne y]}{\lambda}

    ``lam -> 0`` gives ``max_j(z_j - z_y + m[j != y])``, ``lam -> inf`` its mean. O(n k).

    References
    ----------
    .. [1] Zhu, Ying, Yang. "Label distributionally robust losses for multi-class
       classification: consistency, robustness and adaptivity". ICML 2023.

    Examples
    --------
    >>> ldr(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([-0.6910])
    """
    k = logits.shape[1]
    true = logits.gather(1, y[:, None])  # (n, 1)
    gap = (logits - true + margin).scatter(1, y[:, None], 0.0)  # (n, k); the true class leads itself by nothing
    return lam * (torch.logsumexp(gap / lam, dim=1) - math.log(k))  # (n,)
