"""Self-adjusting Dice loss."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.overlap import dice_of_row, self_adjusted
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import Labels, PerRow, Scores


@loss("dsc", task="binary", gradient="surrogate", aliases=("self_adjusting_dice",))
def dsc(
    scores: Scores,
    y: Labels,
    *,
    gamma: Annotated[NonNegative, Search(0.01, 2, log=True)] = 0.3,
    smooth: Annotated[Positive, Search(0.1, 10, log=True)] = 1.0,
    squared: bool = True,
    detach_weight: bool = True,
) -> PerRow:
    r"""One minus the Dice coefficient of each row, whose probability counts for less the surer it is.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; positive for the positive class.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype.
    gamma : float in [0, inf), default=0.3
        Focusing power; the authors take 0.01 to 1. The larger, the less sure rows teach, those that are sure and wrong
        among them: a negative of probability one costs nothing.
    smooth : float in (0, inf), default=1.0
        Added to numerator and denominator; without it negatives would teach nothing.
    squared : bool, default=True
        Whether the denominator has squares. Without them a row of probability zero pulls by ``1 / smooth`` if it is
        negative, and by less if it is positive: a class is given up wherever it is not the more frequent one.
    detach_weight : bool, default=True
        Whether the focusing weight is a constant, through which no gradient flows. Otherwise the loss of a positive is
        least at a probability of ``1 / (1 + gamma)``, and training draws it back to that from above.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, in [0, 1].

    Notes
    -----
    .. math:: \ell = 1 - \frac{2 m y + g}{m^2 + y^2 + g}, \qquad m = (1 - p)^\gamma p, \quad p = \sigma(s)

    Rows are independent, unlike in `dice`, which is one formula of a batch. Probabilities are no estimates:
    ``calibrate="sigmoid"`` gives some.

    Several labels are averaged label by label. For one of three classes or more there is `multiclass_dsc`. O(n).

    References
    ----------
    .. [1] Li, Sun, Meng, Liang, Wu, Li. "Dice loss for data-imbalanced NLP tasks". ACL 2020.

    Examples
    --------
    >>> scores = torch.logit(torch.tensor([0.9, 0.2, 0.6]))
    >>> dsc(scores, torch.tensor([1.0, 0.0, 1.0]), gamma=1.0, squared=False)
    tensor([0.4354, 0.1379, 0.3393])
    """
    return with_slope(
        _formula, _written, scores, y, gamma=gamma, smooth=smooth, squared=squared, detach_weight=detach_weight
    )


def _formula(scores: Tensor, y: Tensor, *, gamma: Any, smooth: Any, squared: bool, detach_weight: bool) -> Tensor:
    """Return the loss of each row in plain torch."""
    m = self_adjusted(torch.sigmoid(scores), torch.sigmoid(-scores), gamma, detach=detach_weight)  # (n,)
    return 1 - dice_of_row(m, y, smooth, squared=squared)  # (n,)


def _written(
    scores: Tensor,
    y: Tensor,
    values: Tensor,
    slopes: Tensor,
    *,
    gamma: Any,
    smooth: Any,
    squared: bool,
    detach_weight: bool,
) -> None:
    """Write the loss of each row and its slope."""
    p, rest = torch.sigmoid(scores), torch.sigmoid(-scores)
    m = self_adjusted(p, rest, gamma, detach=True)
    size = (m.square() if squared else m.clone()).add_(y)
    torch.mul(m, y, out=values).mul_(-2).add_(size)
    values.div_(size.add_(smooth))  # one minus the Dice coefficient
    if squared:
        torch.addcmul(m, m, values, value=-1, out=slopes)
    else:
        torch.mul(values, -0.5, out=slopes).add_(0.5)
    slopes.sub_(y).mul_(m.div_(size)).mul_(2)
    slopes.mul_(rest if detach_weight else rest.sub_(p.mul_(gamma)))
