"""Binary cross entropy."""

from typing import Annotated

import torch
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.numerics import softplus
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
    if isinstance(pos_weight, (int, float)) and pos_weight == 1:
        hard = (y > 0.5).to(y.dtype)  # the nearer label, whose value keeps its digits however small it is
        value = softplus((1 - 2 * hard) * scores)  # (n,)
        return torch.addcmul(value, hard - y, scores)  # (n,); what a soft label adds
    return -pos_weight * y * F.logsigmoid(scores) - (1 - y) * F.logsigmoid(-scores)  # (n,)
