"""Non-negative risk of positive and unlabeled rows."""

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, NonNegative, Probability, Search
from sklearnloss.functional.auc import class_weights
from sklearnloss.typing import Labels, Scalar, Scores, Weights


@loss("nnpu", task="binary", unit="batch", sampler="stratified", gradient="surrogate")
def nnpu(
    scores: Scores,
    y: Labels,
    *,
    prior: Annotated[float, Interval(0, 1), Search(0.1, 0.9)] = 0.3,
    surrogate: Literal["sigmoid", "logistic"] = "sigmoid",
    beta: Annotated[NonNegative, Search(0, 0.5)] = 0.0,
    gamma: Annotated[Probability, Search(0, 1)] = 1.0,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Risk from positive and unlabeled rows in which the part of the negatives cannot become negative.

    A flexible model drives the unbiased risk below zero, which no true risk is; there the gradient turns back.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; positive for the positive class.
    y : Tensor of shape (n,)
        1. for labeled positives, 0. for unlabeled rows, of the scores' dtype.
    prior : float in (0, 1), default=0.3
        Share of positives among the unlabeled rows. Set it: the labels do not tell it, and the default is no estimate.
        `ClassPriorEstimator` estimates it.
    surrogate : {"sigmoid", "logistic"}, default="sigmoid"
        What stands for a row on the wrong side, of its margin m: :math:`\sigma(-m)` or :math:`\log(1 + e^{-m})`.
    beta : float in [0, inf), default=0.0
        How far below zero the risk of the negatives may fall, at most ``prior`` times the bound of the surrogate.
    gamma : float in [0, 1], default=1.0
        Length of the step back.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows, within the positives and within the unlabeled rows.

    Returns
    -------
    Tensor of shape ()
        Never below ``-beta``.

    Notes
    -----
    .. math:: \ell = \pi \overline{\phi(s_+)} + \max(r, -\beta), \qquad
        r = \overline{\phi(-s_u)} - \pi \overline{\phi(-s_+)}

    with means over positives and over unlabeled rows; a mean over no rows is zero. Where :math:`r < -\beta` the
    gradient is that of :math:`-\gamma r` instead of that of the value. Elsewhere it is `upu`. It needs batches with
    rows of both kinds, of which the sampler takes care. Only the sign of the scores has a meaning. O(n).

    References
    ----------
    .. [1] Kiryo, Niu, du Plessis, Sugiyama. "Positive-unlabeled learning with non-negative risk estimator". NeurIPS
       2017.

    Examples
    --------
    >>> nnpu(torch.tensor([1.0, 0.0, -1.0]), torch.tensor([1.0, 0.0, 0.0]), prior=0.3)
    tensor(0.2458)
    """
    working = torch.promote_types(scores.dtype, torch.float32)
    positive, unlabeled = class_weights(y, sample_weight)  # (n,)
    s = torch.where(positive + unlabeled > 0, scores.to(working), 0.0)
    wrong, right = (torch.sigmoid(-m) if surrogate == "sigmoid" else -F.logsigmoid(m) for m in (s, -s))  # (n,)
    gain = prior * _mean(wrong, positive)
    rest = _mean(right, unlabeled) - prior * _mean(right, positive)
    moved = torch.where(rest < -beta, -gamma * rest, gain + rest)
    value = gain + rest.clamp(min=-beta)
    return (moved + (value - moved).detach()).to(scores.dtype)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean; zero without weights."""
    total = weight.sum()
    return (weight * values).sum() / torch.where(total > 0, total, 1.0)
