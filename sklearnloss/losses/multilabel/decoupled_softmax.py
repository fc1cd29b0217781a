"""Decoupled softmax."""

from typing import Annotated

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.numerics import softplus
from sklearnloss.typing import LabelLogits, LabelMatrix, PerRow


@loss("decoupled_softmax", task="multilabel", link="none")
def decoupled_softmax(
    label_logits: LabelLogits, y: LabelMatrix, *, tau: Annotated[Positive, Search(0.01, 10, log=True)] = 1.0
) -> PerRow:
    r"""Cross entropy of each positive label against the negatives only, so that positives do not compete.

    Parameters
    ----------
    label_logits : Tensor of shape (n, n_labels)
        Raw scores.
    y : Tensor of shape (n, n_labels)
        0. or 1.; labels above zero are positive.
    tau : float in (0, inf), default=1.0
        Temperature that divides the scores; about 0.05 for cosines.

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
    .. math:: \ell = \frac{1}{|P|} \sum_{j \in P}
        \log\Bigl(e^{z_j / \tau} + \sum_{k \in N} e^{z_k / \tau}\Bigr) - z_j / \tau

    With one positive in a row it is cross entropy. A positive that is already far ahead leaves the terms of the others
    as they are, where a softmax over all labels would push them down.

    A positive is compared with the negatives of its own row and the level of a row cancels, so a score alone is neither
    a probability nor on one side of a threshold: hence no link. ``calibrate="sigmoid"`` finds both from held-out rows.
    It needs at least two labels. O(n n_labels).

    References
    ----------
    .. [1] Gupta, Khatri, Rawat, Bhojanapalli, Jain, Dhillon. "Dual-encoders for extreme multi-label classification".
       ICLR 2024.

    Examples
    --------
    >>> decoupled_softmax(torch.tensor([[2.0, 1.0, 0.0, -1.0]]), torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    tensor([0.2887])
    """
    if label_logits.shape[1] < 2:
        raise TaskError(
            "loss 'decoupled_softmax' compares labels of a row and needs two or more, got 1: with one it is always "
            "zero; choose a loss that judges each label, such as 'asl' or 'bce'"
        )
    z, positive = label_logits / tau, y.sign().clamp(min=0).to(label_logits.dtype)  # (n, n_labels)
    # half the lowest number stands below any score and, unlike -inf, leaves a gradient to rows without negatives
    top = (z.detach() + torch.finfo(z.dtype).min / 2 * positive).amax(dim=1, keepdim=True)  # (n, 1), of the negatives
    # positives 60 below it add nothing, in any precision, and take less time than those far below or a mask
    rest = torch.logsumexp(torch.lerp(z, top - 60, positive), dim=1, keepdim=True)  # (n, 1)
    terms = softplus(rest - z)  # (n, n_labels); log(exp(z) + exp(rest)) - z
    return (positive * terms).sum(1) / positive.sum(1).clamp(min=1)  # (n,)
