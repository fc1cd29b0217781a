"""Clicks weighted by the inverse of their propensity."""

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Probability, Search
from sklearnloss.exceptions import ParameterError
from sklearnloss.typing import Labels, Scalar, Scores, Weights


# 1. The authors divide the sum over a batch by its clicks and its weighted other rows; here it is by its rows, so that
#    batches do not weigh by the clicks that happen to be in them. At weight=1 both are the same.
@loss("ipw_pu", task="binary", unit="batch", aliases=("rel_mf",))
def ipw_pu(
    scores: Scores,
    y: Labels,
    *,
    propensity: Tensor,
    surrogate: Literal["squared", "logistic"] = "squared",
    clip: Annotated[Probability, Search(0, 0.3)] = 0.1,
    weight: Annotated[NonNegative, Search(0.1, 1, log=True)] = 1.0,
    nonneg: bool = True,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Risk for relevance, from clicks on rows that were seen with known chances.

    A click counts more the less likely its row was seen, and what it is taken to add among the rows without a click is
    subtracted.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Log odds of relevance.
    y : Tensor of shape (n,)
        1. for a click, 0. for none, of the scores' dtype.
    propensity : Tensor of shape (n,)
        Chance that the row was seen, in (0, 1]. The authors estimate it by the popularity of the item,
        ``(count / count.max()) ** 0.5``.
    surrogate : {"squared", "logistic"}, default="squared"
        Cost of a relevant row with probability p: :math:`(1 - p)^2` or :math:`-\log p`; of another one that of 1 - p.
    clip : float in [0, 1], default=0.1
        Least propensity: more of it gives less variance and more bias; at one propensities have no effect.
    weight : float in [0, inf), default=1.0
        Weight of the part of rows that are not relevant.
    nonneg : bool, default=True
        Whether that part of a batch is at least zero.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows, with mean one over the training rows.

    Returns
    -------
    Tensor of shape ()
        Mean over the rows; never negative if ``nonneg``.

    Raises
    ------
    ParameterError
        If the surrogate is logistic and ``nonneg`` is false: a click of propensity below one would be worth the more,
        the surer the model is, without end.

    Notes
    -----
    With :math:`\theta = \max(\text{propensity}, \text{clip})`,

    .. math:: \ell = \frac{1}{n} \sum_i \frac{y_i}{\theta_i} \phi(s_i)
        + w \Bigl[ \frac{1}{n} \sum_i \Bigl(1 - \frac{y_i}{\theta_i}\Bigr) \phi(-s_i) \Bigr]_+

    Without the bracket its expectation, where a relevant row is clicked if and only if it was seen, is the risk for
    relevance itself. Propensities of one give the plain loss of clicks. O(n).

    References
    ----------
    .. [1] Saito, Yaginuma, Nishino, Sakata, Nakata. "Unbiased recommender learning from missing-not-at-random implicit
       feedback". WSDM 2020.

    Examples
    --------
    >>> scores, clicks, seen = torch.zeros(2), torch.tensor([1.0, 0.0]), torch.tensor([0.5, 1.0])
    >>> ipw_pu(scores, clicks, propensity=seen)  # (2 / 4 + (-1 + 1) / 4) / 2
    tensor(0.2500)
    """
    if surrogate == "logistic" and not nonneg:
        raise ParameterError("loss 'ipw_pu': surrogate='logistic' has no lower bound without nonneg=True")
    rows = torch.ones_like(scores) if sample_weight is None else sample_weight.to(scores.dtype)
    s = torch.where(rows > 0, scores, 0.0)
    share = y / propensity.to(scores.dtype).clamp(min=clip)  # (n,)
    relevant, other = (torch.sigmoid(-m).square() if surrogate == "squared" else -F.logsigmoid(m) for m in (s, -s))
    rest = (rows * (1 - share) * other).mean()
    return (rows * share * relevant).mean() + weight * (F.relu(rest) if nonneg else rest)
