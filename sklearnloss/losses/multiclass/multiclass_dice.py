"""Dice loss for several classes."""

from typing import Annotated

import torch
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.overlap import dice_of_batch, mean_of_present
from sklearnloss.typing import Labels, Logits, Scalar, Weights


@loss("multiclass_dice", task="multiclass", unit="batch", sampler="stratified")
def multiclass_dice(
    logits: Logits,
    y: Labels,
    *,
    smooth: Annotated[NonNegative, Search(1e-4, 0.3, log=True)] = 0.01,
    squared: bool = False,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""One minus the mean Dice coefficient of the classes, a soft macro F1 score: each class counts alike.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    smooth : float in [0, inf), default=0.01
        Added to numerator and denominator as a share of the rows: with 100 rows, 0.01 is one.
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
    .. math:: \ell = 1 - \operatorname{mean}_j
        \frac{2 \sum_i p_{ij} [y_i = j] + g n}{\sum_i p_{ij} + \sum_i [y_i = j] + g n}

    The mean is over the classes that come up in the batch. It is one formula of a batch: two batches do not average to
    their union, so take large ones; the ``stratified`` sampler spreads each class over them. The probabilities are
    driven to zero and one and are no estimates: ``calibrate="temperature"`` gives some. A class whose probabilities
    have fallen to zero is not pulled back, so where classes are rare put it beside another loss:
    ``Loss("cross_entropy") + Loss("multiclass_dice")``.

    For two classes, `dice` looks at the positive class alone, and for several labels at each. O(n k).

    References
    ----------
    .. [1] Milletari, Navab, Ahmadi. "V-Net: fully convolutional neural networks for volumetric medical image
       segmentation". 3DV 2016.
    .. [2] Li, Sun, Meng, Liang, Wu, Li. "Dice loss for data-imbalanced NLP tasks". ACL 2020.

    Examples
    --------
    >>> logits = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]).log()
    >>> multiclass_dice(logits, torch.tensor([0, 1, 1]), smooth=0.0)  # 1 - (1.8 / 2.7 + 2.4 / 3.3) / 2
    tensor(0.3030)
    """
    p, labels = torch.softmax(logits, dim=1), F.one_hot(y, logits.shape[1]).to(logits.dtype)  # (n, k)
    weight = torch.ones_like(p[:, 0]) if sample_weight is None else sample_weight.to(p.dtype)
    return 1 - mean_of_present(dice_of_batch(p, labels, weight, smooth, squared=squared), labels, weight)
