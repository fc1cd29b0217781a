"""Self-adjusting Dice loss for several classes."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.overlap import dice_of_row, self_adjusted
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import Labels, Logits, PerRow


# 1. The authors' code has the numerator of a row over the denominator of the batch; here both are of the row.
# 2. It sums over the classes; here their mean is taken.
@loss("multiclass_dsc", task="multiclass", gradient="surrogate")
def multiclass_dsc(
    logits: Logits,
    y: Labels,
    *,
    gamma: Annotated[NonNegative, Search(0.01, 2, log=True)] = 0.3,
    smooth: Annotated[Positive, Search(0.1, 10, log=True)] = 1.0,
    squared: bool = True,
    detach_weight: bool = True,
) -> PerRow:
    r"""One minus the Dice coefficient of a row's probabilities, each against the rest, surer ones counting for less.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    gamma : float in [0, inf), default=0.3
        Focusing power; the authors take 0.01 to 1. The larger, the less sure rows teach, those that are sure and wrong
        among them.
    smooth : float in (0, inf), default=1.0
        Added to numerator and denominator; without it wrong classes would teach nothing.
    squared : bool, default=True
        Whether the denominator has squares. Without them probabilities of zero are pulled harder by rows of other
        classes than by those of their own.
    detach_weight : bool, default=True
        Whether the focusing weight is a constant, through which no gradient flows. Otherwise probabilities of the true
        class above ``1 / (1 + gamma)`` are drawn back.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, in [0, 1]: the mean over the classes.

    Notes
    -----
    .. math:: \ell = 1 - \frac1k \sum_j \frac{2 m_j t_j + g}{m_j^2 + t_j^2 + g}, \qquad
        m_j = (1 - p_j)^\gamma p_j, \quad t_j = [j = y]

    Rows are independent, unlike in `multiclass_dice`. Probabilities are no estimates: ``calibrate="temperature"`` gives
    some. For two classes, `dsc` looks at the positive class alone, and for several labels at each. O(n k).

    References
    ----------
    .. [1] Li, Sun, Meng, Liang, Wu, Li. "Dice loss for data-imbalanced NLP tasks". ACL 2020.

    Examples
    --------
    >>> logits = torch.tensor([[0.9, 0.1]]).log()
    >>> multiclass_dsc(logits, torch.tensor([0]), gamma=1.0, squared=False)  # 0.09 for both
    tensor([0.2590])
    """
    return with_slope(
        _formula,
        _written,
        logits,
        y,
        of="row",
        gamma=gamma,
        smooth=smooth,
        squared=squared,
        detach_weight=detach_weight,
    )


def _formula(logits: Tensor, y: Tensor, *, gamma: Any, smooth: Any, squared: bool, detach_weight: bool) -> Tensor:
    """Return the loss of each row in plain torch."""
    p = torch.softmax(logits, dim=1)  # (n, k)
    m = self_adjusted(p, 1 - p, gamma, detach=detach_weight)  # (n, k)
    own = m.gather(1, y[:, None]).squeeze(1)  # (n,)
    others = m.scatter(1, y[:, None], 0.0)  # (n, k)
    others = others.square() if squared else others
    wrong = (others / (others + smooth)).sum(dim=1)  # (n,); one minus the coefficient, where there is no label
    return (1 - dice_of_row(own, torch.ones_like(own), smooth, squared=squared) + wrong) / logits.shape[1]  # (n,)


def _written(
    logits: Tensor,
    y: Tensor,
    values: Tensor,
    slopes: Tensor,
    *,
    gamma: Any,
    smooth: Any,
    squared: bool,
    detach_weight: bool,
) -> None:
    """Write the loss of each row and its slope.

    The slope of a class's term by its m, times m, is the term times ``factor * smooth / (m ** factor + smooth)``.
    """
    factor, true = 2 if squared else 1, y[:, None]
    p = torch.softmax(logits, dim=1)  # (n, k)
    rest = 1 - p
    m = self_adjusted(p, rest, gamma, detach=True)  # (n, k)
    own = m.gather(1, true)  # (n, 1)
    size = own**factor + 1 + smooth
    dice = (2 * own + smooth) / size
    part = m.square_() if squared else m
    inverse = (part + smooth).reciprocal_()
    terms = part.mul_(inverse).scatter_(1, true, 0.0)
    torch.add(1 - dice, terms.sum(dim=1, keepdim=True), out=values[:, None]).div_(logits.shape[1])
    torch.mul(terms, inverse.mul_(factor * smooth), out=slopes)
    slopes.scatter_(1, true, (factor * own**factor * dice - 2 * own) / size)
    if not detach_weight:
        slopes.mul_(1 - rest.sign() * (gamma * p).div_(rest.clamp(min=torch.finfo(rest.dtype).tiny)))
    slopes.sub_(p.mul_(slopes.sum(dim=1, keepdim=True))).div_(logits.shape[1])
