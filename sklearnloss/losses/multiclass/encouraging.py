"""Encouraging loss."""

import torch
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Probability
from sklearnloss.functional.numerics import log_odds
from sklearnloss.typing import Labels, Logits, PerRow


@loss("encouraging", task="multiclass")
def encouraging(logits: Logits, y: Labels, *, log_end: Probability = 0.75) -> PerRow:
    r"""Cross entropy plus a bonus for certainty, so that rows already predicted well go on to teach.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    log_end : float in [0, 1], default=0.75
        Probability after which the bonus follows its tangent. 0.5 is the authors' advice where nothing is known; at 1
        there is no tangent and no lower bound.

    Returns
    -------
    Tensor of shape (n,)
        One value per row; may be negative, never below ``log(1 - log_end) - 1``.

    Notes
    -----
    .. math:: \ell = -\log p_y + \begin{cases} \log(1 - p_y) & p_y \le e \\
        \log(1 - e) - \frac{p_y - e}{1 - e} & p_y > e \end{cases}

    Up to ``log_end`` this is the negative log odds: the gradient on the true score is -1, however sure the row. The
    scores are pushed further apart than by cross entropy and the probabilities are too sure of themselves.
    ``log_end=0`` is ``-log p_y - p_y``. O(n k).

    References
    ----------
    .. [1] Zhao, Yang, Ren, Li, Wu, Sun. "Well-classified examples are underestimated in classification with deep
       neural networks". AAAI 2022.

    Examples
    --------
    >>> encouraging(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([-1.5916])
    """
    odds = log_odds(logits, y)  # (n,)
    rest = (torch.zeros_like(odds) + (1 - log_end)).clamp(min=torch.finfo(odds.dtype).tiny)  # safe where log_end is 1
    tangent = rest.log() + torch.sigmoid(-odds) / rest - 1
    bonus = torch.where(torch.sigmoid(odds) <= log_end, F.logsigmoid(-odds), tangent)
    return bonus - F.logsigmoid(odds)  # (n,)
