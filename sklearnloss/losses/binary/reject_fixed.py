"""Rejector for a fixed predictor."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Positive, Search
from sklearnloss.functional.numerics import steady_exp
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import Labels, PerRow, Scores

CAP = 20.0  # exponent from which the exponentials go on along their tangents


@loss("reject_fixed", task="binary", link="none")
def reject_fixed(
    scores: Scores,
    y: Labels,
    *,
    cost: Annotated[float, Interval(0, 0.5), Search(0.01, 0.4, log=True)] = 0.05,
    alpha: Annotated[Positive, Search(0.5, 4)] = 2.0,
) -> PerRow:
    r"""Loss of a rejector that says which answers of a finished predictor to accept: those with a score above zero.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        The rejector's scores; an answer is accepted where they are positive.
    y : Tensor of shape (n,)
        1. where the predictor's answer is right and 0. where it is wrong, of the scores' dtype. Take answers for rows
        that it was not trained on, such as those of ``cross_val_predict``: on its own training rows it is too good.
    cost : float in (0, 0.5), default=0.05
        Cost of a rejection, where a wrong answer that is accepted costs one: answers are accepted while they are wrong
        less often than this.
    alpha : float in (0, inf), default=2.0
        Steepness of the part that accepts.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, always positive and convex in the score.

    Notes
    -----
    With :math:`a = 2 y - 1` and the cost c,

    .. math::
        \ell = e^{\frac{\alpha}{2} (s - a)} + c\, e^{-\beta s}, \qquad
        \beta = \frac{\alpha}{2 c} \bigl(c\, e^{\alpha / 2} + (1 - c)\, e^{-\alpha / 2}\bigr)

    is never below the cost of a decision, :math:`[a = -1][s > 0] + c\,[s \le 0]`. The second rate is the one with which
    the best score of rows that are wrong with probability e is zero at :math:`e = c`, positive for less and negative
    for more. The best score tells that probability,

    .. math::
        e = \frac{(c\,E + (1 - c) / E)\, e^{-(\alpha/2 + \beta) s} - 1 / E}{E - 1 / E}, \qquad E = e^{\alpha/2},

    but the decision is not at one half of it: hence no link, so that ``predict`` accepts where the score is positive.
    Scores lie near zero, within about -0.2 and 0.03 at the defaults; beyond exponents of 20 the loss goes on along its
    tangents. O(n).

    References
    ----------
    .. [1] Mohri, Andor, Choi, Collins, Mao, Zhong. "Learning to reject with a fixed predictor: application to
       decontextualization". ICLR 2024.

    Examples
    --------
    >>> reject_fixed(torch.zeros(2), torch.tensor([1.0, 0.0]))  # exp(-1) + 0.05 and exp(1) + 0.05
    tensor([0.4179, 2.7683])
    """
    return with_slope(_formula, _written, scores, y, cost=cost, alpha=alpha)


def _formula(scores: Tensor, y: Tensor, *, cost: Any, alpha: Any) -> Tensor:
    """Return the loss of each row in plain torch."""
    half, rate = _rates(scores, cost, alpha)
    return steady_exp(half * (scores - (2 * y - 1)), CAP) + cost * steady_exp(-rate * scores, CAP)


def _written(scores: Tensor, y: Tensor, values: Tensor, slopes: Tensor, *, cost: Any, alpha: Any) -> None:
    """Write the loss of each row and its slope."""
    half, rate = _rates(scores, cost, alpha)
    torch.add(scores, y, alpha=-2, out=values).add_(1).mul_(half)
    accepts = _steady_exp_(values)
    rest = scores * -rate
    torch.mul(_steady_exp_(rest), -cost * rate, out=slopes).add_(accepts.mul_(half))
    values.add_(rest.mul_(cost))


def _steady_exp_(x: Tensor) -> Tensor:
    """Put `steady_exp` in the place of x, and return its slope."""
    below = x.clamp(max=CAP)
    slope = below.exp()
    x.sub_(below).add_(1).mul_(slope)  # where x is below the cap, the first makes a zero
    return slope


def _rates(scores: Tensor, cost: Any, alpha: Any) -> tuple[Tensor, Tensor]:
    """Return how fast the two exponentials grow and fall."""
    half = torch.as_tensor(alpha, dtype=scores.dtype, device=scores.device) / 2
    return half, half / cost * (cost * half.exp() + (1 - cost) * (-half).exp())
