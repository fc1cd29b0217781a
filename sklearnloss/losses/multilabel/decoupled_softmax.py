"""Decoupled softmax."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.with_slope import with_slope
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
    return with_slope(_formula, _written, label_logits, y.to(label_logits.dtype), of="row", tau=tau)


def _formula(label_logits: Tensor, y: Tensor, *, tau: Any) -> Tensor:
    """Return the loss of each row in plain torch."""
    z, positive = label_logits / tau, _positive(y)  # (n, n_labels)
    # positives 60 below the negatives add nothing, in any precision, and take less time than those far below or a mask
    rest = torch.logsumexp(torch.lerp(z, _top(z.detach(), positive) - 60, positive), dim=1, keepdim=True)  # (n, 1)
    return (positive * softplus(rest - z)).sum(1) / positive.sum(1).clamp(min=1)  # (n,); log(exp(z) + exp(rest)) - z


def _written(label_logits: Tensor, y: Tensor, values: Tensor, slopes: Tensor, *, tau: Any) -> None:
    """Write the loss of each row and its slope."""
    z, weight = label_logits / tau, _positive(y)  # (n, n_labels)
    top = _top(z, weight)
    torch.sub(z, top, out=slopes).clamp_(max=0).exp_()
    slopes.addcmul_(slopes, weight, value=-1)  # of the negatives only
    total = slopes.sum(dim=1, keepdim=True).clamp_(min=torch.finfo(z.dtype).tiny)
    weight.div_(weight.sum(dim=1, keepdim=True).clamp_(min=1).mul_(tau))
    lead = (top + total.log()) - z  # of the negatives over each label
    terms = lead.abs().neg_().exp_().log1p_().add_(lead.clamp(min=0))  # softplus
    torch.sum(terms.mul_(weight), dim=1, out=values).mul_(tau)
    pull = torch.sigmoid(lead).mul_(weight)
    slopes.mul_(pull.sum(dim=1, keepdim=True) / total).sub_(pull)


def _positive(y: Tensor) -> Tensor:
    """Return 1. for labels above zero."""
    return y.sign().clamp_(min=0)


def _top(z: Tensor, positive: Tensor) -> Tensor:
    """Return the highest score of each row's negatives (n, 1)."""
    # half the lowest number stands below any score and, unlike -inf, leaves a gradient to rows without negatives
    return torch.add(z, positive, alpha=torch.finfo(z.dtype).min / 2).amax(dim=1, keepdim=True)
