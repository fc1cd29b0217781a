"""Soft top-k loss."""

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, PositiveInt, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.typing import LabelLogits, LabelMatrix, PerRow

STEPS = {torch.float32: 32, torch.float64: 64}  # halvings until the threshold is known to its last digit


# 1. In a row with more than k positives the authors draw k of them and mask the others, since no more can be among the
#    first k. Here such a row has as many places as positives: no positive competes with another, and nothing is random.
@loss("soft_topk", task="multilabel", link="none")
def soft_topk(
    label_logits: LabelLogits,
    y: LabelMatrix,
    *,
    k: Annotated[PositiveInt, Search(1, 10)] | Literal["n_pos"] = 5,
    alpha: Annotated[Positive, Search(0.5, 10, log=True)] = 2.0,
) -> PerRow:
    r"""Log probability that the positive labels are among the k best of their row.

    A row has k places in all, which its labels share: a label can only win what others lose.

    Parameters
    ----------
    label_logits : Tensor of shape (n, n_labels)
        Raw scores.
    y : Tensor of shape (n, n_labels)
        0. or 1.; labels above zero are positive.
    k : int in [1, inf) or "n_pos", default=5
        Number of places; ``"n_pos"`` is the number of positives of each row. A row with more positives than places has
        a place for each of them, and never are there as many places as labels.
    alpha : float in (0, inf), default=2.0
        Factor of the scores. The larger, the nearer to a hard choice of the first k.

    Returns
    -------
    Tensor of shape (n,)
        Mean over the positives of a row, never negative; zero for rows without positives or without negatives.

    Raises
    ------
    TaskError
        If there is only one label.

    Notes
    -----
    .. math:: \ell = -\frac{1}{|P|} \sum_{j \in P} \log p_j, \qquad p_j = \sigma(\alpha (z_j + t)), \qquad
        \sum_j p_j = k

    The threshold t of each row is found by bisection; the gradient is that of the implicit function, with
    :math:`\partial t / \partial z_j = -v_j / \sum_i v_i` and :math:`v_j = p_j (1 - p_j)`, so that the gradient of a row
    sums to zero. The level of a row cancels: hence no link. ``calibrate="sigmoid"`` finds probabilities from held-out
    rows. O(n n_labels), with a factor of 32 to 64 for the bisection.

    References
    ----------
    .. [1] Gupta, Khatri, Rawat, Bhojanapalli, Jain, Dhillon. "Dual-encoders for extreme multi-label classification".
       ICLR 2024.

    Examples
    --------
    >>> soft_topk(torch.tensor([[2.0, 1.0, 0.0, -1.0]]), torch.tensor([[1.0, 1.0, 0.0, 0.0]]), k=2)
    tensor([0.1809])
    """
    n_labels = label_logits.shape[1]
    if n_labels < 2:
        raise TaskError(
            "loss 'soft_topk' compares labels of a row and needs two or more, got 1: with one there is nothing to "
            "choose; choose a loss that judges each label, such as 'asl' or 'bce'"
        )
    working = torch.promote_types(label_logits.dtype, torch.float32)
    z = label_logits.to(working)
    z = alpha * (z - z.detach().mean(dim=1, keepdim=True))  # (n, n_labels); the level cancels, its digits are saved
    positive = y > 0
    count = positive.sum(dim=1, keepdim=True)  # (n, 1)
    places = count if k == "n_pos" else count.clamp(min=k)
    threshold = _threshold(z, places.clamp(1, n_labels - 1).to(working))  # (n, 1)
    terms = torch.where(positive & (count < n_labels), -F.logsigmoid(z + threshold), 0.0)  # (n, n_labels)
    return (terms.sum(dim=1) / count.squeeze(1).clamp(min=1)).to(label_logits.dtype)  # (n,)


def _threshold(z: Tensor, places: Tensor) -> Tensor:
    """Return what added to each row of z (n, n_labels) makes the sigmoids sum to the places, as a function of z."""
    fixed = z.detach()
    # with all scores at the highest, or at the lowest, the threshold would be known
    level = torch.logit(places / z.shape[1])
    low, high = level - fixed.amax(dim=1, keepdim=True), level - fixed.amin(dim=1, keepdim=True)  # (n, 1)
    for _ in range(STEPS[z.dtype]):
        middle = (low + high) / 2
        enough = torch.sigmoid(fixed + middle).sum(dim=1, keepdim=True) > places
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    middle = (low + high) / 2
    v = (torch.sigmoid(fixed + middle) * torch.sigmoid(-fixed - middle)).clamp(min=1e-30)
    share = v / v.sum(dim=1, keepdim=True)  # (n, n_labels)
    return middle - (share * (z - fixed)).sum(dim=1, keepdim=True)  # adds nothing but the gradient
