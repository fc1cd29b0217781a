"""Poly-1 loss."""

import math
from typing import Annotated

import torch
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.functional.numerics import log_odds
from sklearnloss.typing import Labels, Logits, PerRow


@loss("poly1", task="multiclass", status="known")
def poly1(
    logits: Logits, y: Labels, *, epsilon: Annotated[float, Interval(-1, math.inf, "left"), Search(-1, 6)] = 1.0
) -> PerRow:
    r"""Cross entropy whose leading term, the error of the probability, has a weight of its own.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    epsilon : float in [-1, inf), default=1.0
        What is added to the weight one of the leading term; -1 takes the term away. Positive values make predictions
        surer, negative ones less sure.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -\log p_y + \epsilon (1 - p_y) = (1 + \epsilon)(1 - p_y) + \sum_{j \ge 2} \frac{(1 - p_y)^j}{j}

    ``epsilon=0`` is cross entropy, the only one that is proper. The gradient of cross entropy with respect to the
    scores is multiplied by :math:`1 + \epsilon p_y`. O(n k).

    References
    ----------
    .. [1] Leng, Tan, Liu, Cubuk, Shi, Cheng, Anguelov. "PolyLoss: a polynomial expansion perspective of classification
       loss functions". ICLR 2022.

    Examples
    --------
    >>> poly1(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))  # log(2) + 1 / 2
    tensor([1.1931])
    """
    odds = log_odds(logits, y)  # (n,)
    return epsilon * torch.sigmoid(-odds) - F.logsigmoid(odds)  # (n,)
