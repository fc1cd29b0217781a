"""Dice loss."""

from typing import Annotated

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.overlap import dice_of_batch
from sklearnloss.typing import Labels, Scalar, Scores, Weights


@loss("dice", task="binary", unit="batch", sampler="stratified")
def dice(
    scores: Scores,
    y: Labels,
    *,
    smooth: Annotated[NonNegative, Search(1e-4, 0.3, log=True)] = 0.01,
    squared: bool = False,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""One minus the Dice coefficient of probabilities and labels, a soft F1 score: easy negatives count for nothing.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; positive for the positive class.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype.
    smooth : float in [0, inf), default=0.01
        Added to numerator and denominator as a share of the rows: with 100 rows, 0.01 is one. More of it makes the
        value of small batches steadier, and less like the score.
    squared : bool, default=False
        Whether the denominator has squares. The pull on a row then fades as its probability nears the label.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows in the sums.

    Returns
    -------
    Tensor of shape ()
        In [0, 1].

    Notes
    -----
    .. math:: \ell = 1 - \frac{2 \sum_i p_i y_i + g n}{\sum_i p_i + \sum_i y_i + g n}, \qquad p_i = \sigma(s_i)

    It is one formula of a batch: two batches do not average to their union, so take large ones; the ``stratified``
    sampler puts positives in each. Without a positive and with ``smooth=0`` it is one, and teaches nothing. The
    probabilities are driven to zero and one and are no estimates: ``calibrate="sigmoid"`` gives some.

    Several labels are averaged label by label. For one of three classes or more there is `multiclass_dice`. O(n).

    References
    ----------
    .. [1] Milletari, Navab, Ahmadi. "V-Net: fully convolutional neural networks for volumetric medical image
       segmentation". 3DV 2016.
    .. [2] Li, Sun, Meng, Liang, Wu, Li. "Dice loss for data-imbalanced NLP tasks". ACL 2020.

    Examples
    --------
    >>> scores = torch.logit(torch.tensor([0.9, 0.2, 0.6]))
    >>> dice(scores, torch.tensor([1.0, 0.0, 1.0]), smooth=0.0)  # 1 - 3 / 3.7
    tensor(0.1892)
    """
    weight = torch.ones_like(scores) if sample_weight is None else sample_weight.to(scores.dtype)
    return 1 - dice_of_batch(torch.sigmoid(scores), y, weight, smooth, squared=squared)
