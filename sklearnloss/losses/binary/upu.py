"""Unbiased risk of positive and unlabeled rows."""

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.functional.auc import class_weights
from sklearnloss.typing import Labels, Scalar, Scores, Weights


@loss("upu", task="binary", unit="batch", sampler="stratified")
def upu(
    scores: Scores,
    y: Labels,
    *,
    prior: Annotated[float, Interval(0, 1), Search(0.1, 0.9)] = 0.3,
    surrogate: Literal["logistic", "sigmoid", "double_hinge"] = "logistic",
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Risk of a classifier of all positives, from some labeled positives and rows that may be of either class.

    What positives contribute to the unlabeled rows is subtracted, so that it is right on average.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; positive for the positive class.
    y : Tensor of shape (n,)
        1. for labeled positives, 0. for unlabeled rows, of the scores' dtype.
    prior : float in (0, 1), default=0.3
        Share of positives among the unlabeled rows. Set it: the labels do not tell it, and the default is no estimate.
        `ClassPriorEstimator` estimates it.
    surrogate : {"logistic", "sigmoid", "double_hinge"}, default="logistic"
        What stands for a row on the wrong side, of its margin m: :math:`\log(1 + e^{-m})`, :math:`\sigma(-m)` or
        :math:`\max(-m, [1 - m]_+ / 2)`. With the first and the last the loss is convex.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows, within the positives and within the unlabeled rows.

    Returns
    -------
    Tensor of shape ()
        May be negative; of surrogates without bound it has none below, so that a flexible model overfits: see `nnpu`.

    Notes
    -----
    .. math:: \ell = \pi \overline{\phi(s_+)} - \pi \overline{\phi(-s_+)} + \overline{\phi(-s_u)}

    with means over positives and over unlabeled rows; a mean over no rows is zero. It is unbiased if the labeled
    positives are a random draw of all positives. The convex surrogates have :math:`\phi(m) - \phi(-m) = -m`, so that
    positives enter by their mean score only. With the logistic one the scores are log odds among the unlabeled rows;
    with the others only their sign has a meaning. O(n).

    References
    ----------
    .. [1] du Plessis, Niu, Sugiyama. "Analysis of learning from positive and unlabeled data". NeurIPS 2014.
    .. [2] du Plessis, Niu, Sugiyama. "Convex formulation for learning from positive and unlabeled data". ICML 2015.

    Examples
    --------
    >>> upu(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]), prior=0.3)  # log(2) - 0.3
    tensor(0.3931)
    """
    working = torch.promote_types(scores.dtype, torch.float32)
    positive, unlabeled = class_weights(y, sample_weight)  # (n,)
    s = torch.where(positive + unlabeled > 0, scores.to(working), 0.0)
    whole, lead = _mean(_surrogate(-s, surrogate), unlabeled), _surrogate(s, surrogate) - _surrogate(-s, surrogate)
    return (prior * _mean(lead, positive) + whole).to(scores.dtype)


def _surrogate(margin: Tensor, surrogate: str) -> Tensor:
    """Return what stands for a row on the wrong side (n,)."""
    match surrogate:
        case "logistic":
            return -F.logsigmoid(margin)
        case "sigmoid":
            return torch.sigmoid(-margin)
        case _:
            return torch.maximum(-margin, F.relu(1 - margin) / 2)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean; zero without weights."""
    total = weight.sum()
    return (weight * values).sum() / torch.where(total > 0, total, 1.0)
