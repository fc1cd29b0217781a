"""Symmetric cross entropy."""

import math
from typing import Annotated

import torch
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, NonNegative, Search
from sklearnloss.functional.numerics import log_odds
from sklearnloss.typing import Labels, Logits, PerRow


@loss("symmetric_ce", task="multiclass", status="known")
def symmetric_ce(
    logits: Logits,
    y: Labels,
    *,
    alpha: Annotated[NonNegative, Search(0.01, 10, log=True)] = 0.1,
    beta: Annotated[NonNegative, Search(0.1, 10, log=True)] = 1.0,
    log_zero: Annotated[float, Interval(-math.inf, 0), Search(-10, -1)] = -4.0,
) -> PerRow:
    r"""Cross entropy both ways: to the label, which learns fast, and from it, which forgives wrong labels.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    alpha : float in [0, inf), default=0.1
        Weight of cross entropy. The authors take 0.1 for ten classes and 6 for a hundred.
    beta : float in [0, inf), default=1.0
        Weight of the reverse; 0.1 for a hundred classes.
    log_zero : float in (-inf, 0), default=-4.0
        What stands for the logarithm of zero, the label's share of each wrong class. The authors' text says -4, some
        code has the logarithm of 1e-4, which is -9.2.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -\alpha \log p_y - \beta \sum_j p_j \log [j = y] = -\alpha \log p_y - \beta A (1 - p_y)

    with :math:`A` in place of :math:`\log 0`. The reverse is the absolute error of the probabilities, times
    ``-log_zero / 2``: only the product of ``beta`` and ``log_zero`` counts. ``beta=0`` is cross entropy times
    ``alpha``. Not proper: probabilities are surer than those of the classes. O(n k).

    References
    ----------
    .. [1] Wang, Ma, Chen, Luo, Yi, Bailey. "Symmetric cross entropy for robust learning with noisy labels". ICCV 2019.

    Examples
    --------
    >>> symmetric_ce(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))  # 0.1 * log(2) + 4 / 2
    tensor([2.0693])
    """
    odds = log_odds(logits, y)  # (n,)
    return -alpha * F.logsigmoid(odds) - beta * log_zero * torch.sigmoid(-odds)  # (n,)
