"""Tversky loss."""

from typing import Annotated

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.overlap import tversky_of_batch
from sklearnloss.typing import Labels, Scalar, Scores, Weights


@loss("tversky", task="binary", unit="batch", sampler="stratified", status="known")
def tversky(
    scores: Scores,
    y: Labels,
    *,
    alpha: Annotated[NonNegative, Search(0.1, 0.9)] = 0.3,
    beta: Annotated[NonNegative, Search(0.1, 0.9)] = 0.7,
    smooth: Annotated[NonNegative, Search(1e-4, 0.3, log=True)] = 0.01,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Dice loss in which false alarms and misses have prices of their own.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; positive for the positive class.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype.
    alpha : float in [0, inf), default=0.3
        Price of a false alarm.
    beta : float in [0, inf), default=0.7
        Price of a miss; above ``alpha`` recall is worth more than precision.
    smooth : float in [0, inf), default=0.01
        Added to numerator and denominator as a share of the rows.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows in the sums.

    Returns
    -------
    Tensor of shape ()
        In [0, 1].

    Notes
    -----
    .. math:: \ell = 1 - \frac{T + g n}{T + \alpha \sum_i p_i (1 - y_i) + \beta \sum_i (1 - p_i) y_i + g n}, \qquad
        T = \sum_i p_i y_i, \quad p_i = \sigma(s_i)

    ``alpha=beta=0.5`` is the Dice loss with twice the ``smooth``; ``alpha=beta=1`` is one minus the Jaccard index. As
    with Dice, take large batches; the ``stratified`` sampler puts positives in each, and the probabilities are no
    estimates.

    Several labels are averaged label by label. For one of three classes or more there is `multiclass_tversky`. O(n).

    References
    ----------
    .. [1] Salehi, Erdogmus, Gholipour. "Tversky loss function for image segmentation using 3D fully convolutional deep
       networks". MICCAI Workshop on Machine Learning in Medical Imaging 2017.

    Examples
    --------
    >>> scores = torch.logit(torch.tensor([0.9, 0.2, 0.6]))
    >>> tversky(scores, torch.tensor([1.0, 0.0, 1.0]), alpha=1.0, beta=1.0, smooth=0.0)  # 1 - 1.5 / 2.2
    tensor(0.3182)
    """
    p, rest = torch.sigmoid(scores), torch.sigmoid(-scores)  # (n,)
    weight = torch.ones_like(scores) if sample_weight is None else sample_weight.to(scores.dtype)
    return 1 - tversky_of_batch(p, rest, y, weight, smooth, false_pos=alpha, false_neg=beta)
