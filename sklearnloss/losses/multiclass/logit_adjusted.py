"""Logit-adjusted cross entropy."""

from typing import Annotated

from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.numerics import absent_as_rarest
from sklearnloss.typing import Labels, Logits, PerRow, Priors


@loss("logit_adjusted", task="multiclass")
def logit_adjusted(
    logits: Logits, y: Labels, *, priors: Priors, tau: Annotated[NonNegative, Search(0.1, 3)] = 1.0
) -> PerRow:
    r"""Cross entropy in which the shares of the classes speak for themselves, so that the scores need not.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    priors : Tensor of shape (k,)
        Share of each class in the training rows; a class without rows counts as the rarest that has any.
    tau : float in [0, inf), default=1.0
        How much of the shares is taken out of the scores.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -\log \frac{\pi_y^\tau e^{z_y}}{\sum_j \pi_j^\tau e^{z_j}}

    The softmax of the scores themselves estimates the class probabilities as they would be if all classes were equally
    frequent, which is what balanced accuracy asks for. ``tau=0``, or equal shares, is cross entropy. O(n k).

    References
    ----------
    .. [1] Menon, Jayasumana, Rawat, Jain, Veit, Kumar. "Long-tail learning via logit adjustment". ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> logit_adjusted(torch.tensor([[0.0, 0.0]]), torch.tensor([1]), priors=torch.tensor([0.9, 0.1]))  # -log(0.1)
    tensor([2.3026])
    """
    shares = absent_as_rarest(priors).to(logits.dtype)  # (k,)
    return F.cross_entropy(logits + tau * shares.log(), y, reduction="none")  # (n,)
