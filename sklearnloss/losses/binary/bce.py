"""Binary cross entropy."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import Labels, PerRow, Scores


@loss("bce", task="binary", proper=True)
def bce(scores: Scores, y: Labels, *, pos_weight: Annotated[Positive, Search(0.1, 10, log=True)] = 1.0) -> PerRow:
    r"""Negative log probability of the true one of two classes, in which errors on positives may cost more.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Log odds of the positive class.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype; between them it blends the values of both.
    pos_weight : float in (0, inf), default=1.0
        Weight of the positives. Other than at one the scores tend to the log odds plus ``log(pos_weight)``, so that the
        linked probabilities are those of a population with that many times the positives.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -w\,y \log \sigma(s) - (1 - y) \log \sigma(-s)

    A score of zero gives ``log(2)``; a confident error grows as ``|s|``, and nothing overflows. O(n).

    References
    ----------
    .. [1] Cox. "The regression analysis of binary sequences". Journal of the Royal Statistical Society B 20, 1958.

    Examples
    --------
    >>> import torch
    >>> bce(torch.tensor([2.0, -1.0]), torch.tensor([1.0, 1.0]))
    tensor([0.1269, 1.3133])
    """
    return with_slope(_formula, _written, scores, y, pos_weight=pos_weight)


def _formula(scores: Tensor, y: Tensor, *, pos_weight: Any) -> Tensor:
    """Return the loss of each row in plain torch."""
    return pos_weight * y * softplus(-scores) + (1 - y) * softplus(scores)


def _written(scores: Tensor, y: Tensor, values: Tensor, slopes: Tensor, *, pos_weight: Any) -> None:
    """Write the loss of each row and its slope.

    Of both softplus, which differ by the score, one is taken: that of minus the size of the score.
    """
    positive, negative = y * pos_weight, 1 - y
    torch.abs(scores, out=values).neg_().exp_().log1p_().mul_(positive + negative)
    values.addcmul_(negative, scores.clamp(min=0)).addcmul_(positive, scores.clamp(max=0), value=-1)
    torch.sigmoid(scores, out=slopes).mul_(negative)
    slopes.addcmul_(positive, torch.neg(scores).sigmoid_(), value=-1)  # no difference: easy rows keep their digits
