"""Focal loss."""

from typing import Annotated

import torch
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.numerics import log_odds
from sklearnloss.typing import Labels, Logits, PerRow


@loss("focal", task="multiclass")
def focal(logits: Logits, y: Labels, *, gamma: Annotated[NonNegative, Search(0.5, 5)] = 2.0) -> PerRow:
    r"""Cross entropy that turns away from rows already predicted well.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    gamma : float in [0, inf), default=2.0
        Focusing power: how fast the weight of a row falls with its probability.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative, never above cross entropy.

    Notes
    -----
    .. math:: \ell = -(1 - p_y)^\gamma \log p_y

    The gradient flows through the weight too. ``gamma=0`` is cross entropy. Computed from the log odds of the true
    class, so value and gradient are finite at any score, for powers below one too. O(n k).

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár. "Focal loss for dense object detection". ICCV 2017.

    Examples
    --------
    >>> import torch
    >>> focal(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([0.0041])
    """
    odds = log_odds(logits, y)  # (n,)
    return -torch.exp(gamma * F.logsigmoid(-odds)) * F.logsigmoid(odds)  # (n,)
