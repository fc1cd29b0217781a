"""Tversky loss for several classes."""

from typing import Annotated

import torch
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.overlap import mean_of_present, tversky_of_batch
from sklearnloss.typing import Labels, Logits, Scalar, Weights


@loss("multiclass_tversky", task="multiclass", unit="batch", sampler="stratified")
def multiclass_tversky(
    logits: Logits,
    y: Labels,
    *,
    alpha: Annotated[NonNegative, Search(0.1, 0.9)] = 0.3,
    beta: Annotated[NonNegative, Search(0.1, 0.9)] = 0.7,
    smooth: Annotated[NonNegative, Search(1e-4, 0.3, log=True)] = 0.01,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Dice loss of several classes in which false alarms and misses of a class have prices of their own.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
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
    .. math:: \ell = 1 - \operatorname{mean}_j \frac{T_j + g n}
        {T_j + \alpha \sum_i p_{ij} [y_i \ne j] + \beta \sum_i (1 - p_{ij}) [y_i = j] + g n}, \qquad
        T_j = \sum_i p_{ij} [y_i = j]

    The mean is over the classes that come up in the batch. ``alpha=beta=0.5`` is the Dice loss with twice the
    ``smooth``. As with Dice, take large batches; the probabilities are no estimates.

    For two classes, `tversky` looks at the positive class alone, and for several labels at each. O(n k).

    References
    ----------
    .. [1] Salehi, Erdogmus, Gholipour. "Tversky loss function for image segmentation using 3D fully convolutional deep
       networks". MICCAI Workshop on Machine Learning in Medical Imaging 2017.

    Examples
    --------
    >>> logits = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]).log()
    >>> multiclass_tversky(logits, torch.tensor([0, 1, 1]), alpha=1.0, beta=1.0, smooth=0.0)
    tensor(0.4643)
    """
    p, labels = torch.softmax(logits, dim=1), F.one_hot(y, logits.shape[1]).to(logits.dtype)  # (n, k)
    weight = torch.ones_like(p[:, 0]) if sample_weight is None else sample_weight.to(p.dtype)
    index = tversky_of_batch(p, 1 - p, labels, weight, smooth, false_pos=alpha, false_neg=beta)  # (k,)
    return 1 - mean_of_present(index, labels, weight)
