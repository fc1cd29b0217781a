"""Asymmetric loss."""

from typing import Annotated

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, NonNegative, Search
from sklearnloss.functional.asymmetric import asymmetric
from sklearnloss.typing import LabelLogits, LabelMatrix, PerRow


@loss("asl", task="multilabel")
def asl(
    label_logits: LabelLogits,
    y: LabelMatrix,
    *,
    gamma_neg: Annotated[NonNegative, Search(0, 6)] = 4.0,
    gamma_pos: Annotated[NonNegative, Search(0, 2)] = 1.0,
    shift: Annotated[Fraction, Search(0, 0.2)] = 0.05,
    detach_focal: bool = False,
) -> PerRow:
    r"""Cross entropy per label that forgets the many easy negatives, and ignores the easiest of all.

    A negative with a probability near one loses gradient as well, since it is more likely a missing label.

    Parameters
    ----------
    label_logits : Tensor of shape (n, n_labels)
        Log odds of each label.
    y : Tensor of shape (n, n_labels)
        0. or 1., of the scores' dtype.
    gamma_neg : float in [0, inf), default=4.0
        Focusing power of the negatives.
    gamma_pos : float in [0, inf), default=1.0
        Focusing power of the positives.
    shift : float in [0, 1), default=0.05
        Probability below which a negative counts as zero.
    detach_focal : bool, default=False
        Whether the focusing factors are constants, through which no gradient goes.

    Returns
    -------
    Tensor of shape (n, n_labels)
        One value per label, never negative; the row's value is their mean, where the authors take the sum.

    Notes
    -----
    With :math:`p = \sigma(z)` and :math:`p_m = \max(p - m, 0)`,

    .. math:: \ell = -y (1 - p)^{\gamma_+} \log p - (1 - y)\, p_m^{\gamma_-} \log(1 - p_m)

    Powers and shift of zero give binary cross entropy, equal powers without shift the focal loss. Otherwise the best
    score of a label is not its log odds, so the loss is not proper. O(n n_labels).

    References
    ----------
    .. [1] Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor. "Asymmetric loss for multi-label
       classification". ICCV 2021.

    Examples
    --------
    >>> import torch
    >>> asl(torch.tensor([[0.0, 0.0, -3.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    tensor([[0.3466, 0.0245, 0.0000]])
    """
    return asymmetric(label_logits, y, gamma_neg=gamma_neg, gamma_pos=gamma_pos, shift=shift, detach_focal=detach_focal)
