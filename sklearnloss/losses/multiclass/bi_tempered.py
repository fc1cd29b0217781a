"""Bi-tempered logistic loss."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import AtLeastOne, Probability, Search
from sklearnloss.functional.numerics import box_cox
from sklearnloss.typing import Labels, Logits, PerRow

STEPS = 8  # of Newton's method: as many as t2 = 10, a thousand classes and scores of 200 take in float64


def tempered_softmax(logits: Tensor, *, t2: float = 1.2) -> Tensor:
    """Return class probabilities (n, k) with tails that are the heavier the larger ``t2`` is; at one the softmax."""
    return _log_tempered_softmax(logits, t2).exp()


# 1. The normalising constant is found by Newton's method, where the authors iterate a fixed point five times: with so
#    few steps their probabilities need not sum to one.
@loss("bi_tempered", task="multiclass", link=tempered_softmax, proper=True)
def bi_tempered(
    logits: Logits,
    y: Labels,
    *,
    t1: Annotated[Probability, Search(0.2, 1)] = 0.8,
    t2: Annotated[AtLeastOne, Search(1, 4)] = 1.2,
) -> PerRow:
    r"""Cross entropy made robust twice: bounded for rows far on the wrong side, heavy-tailed for those near the border.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    t1 : float in [0, 1], default=0.8
        Temperature of the logarithm. Below one the loss is bounded, so an outlier far away does not matter.
    t2 : float in [1, inf), default=1.2
        Temperature of the exponential. Above one the probabilities have heavy tails, so wrong labels near the border
        do not have to be fitted. The authors take 0.8 and 1.2 where a fifth of the labels is wrong, and up to 4 for
        two classes.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative; below ``1 / (1 - t1)``.

    Notes
    -----
    With :math:`\log_t x = (x^{1 - t} - 1) / (1 - t)` and its inverse :math:`\exp_t`,

    .. math:: \ell = -\log_{t_1} p_y - \frac{1}{2 - t_1} \Big(1 - \sum_j p_j^{2 - t_1}\Big), \qquad
        p_j = \exp_{t_2}(z_j - \lambda(z)), \quad \sum_j p_j = 1

    ``t1=t2=1`` is cross entropy, ``t1=0, t2=1`` half the Brier score. For any temperatures the expected loss is least
    where the linked probabilities are the true ones, since it is a Bregman divergence of them from the label. Takes
    STEPS + 1 steps of Newton, of O(n k) each.

    References
    ----------
    .. [1] Amid, Warmuth, Anil, Koren. "Robust bi-tempered logistic loss based on Bregman divergences". NeurIPS 2019.

    Examples
    --------
    >>> bi_tempered(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([0.1600])
    >>> tempered_softmax(torch.tensor([[2.0, 0.0, -1.0]]), t2=4.0)
    tensor([[0.3550, 0.3279, 0.3171]])
    """
    log_p = _log_tempered_softmax(logits, t2)  # (n, k)
    true = log_p.gather(1, y[:, None]).squeeze(1)  # (n,)
    return -box_cox(true, 1 - t1) - (1 - torch.exp((2 - t1) * log_p).sum(dim=1)) / (2 - t1)  # (n,)


def _log_tempered_softmax(logits: Tensor, t2: Any) -> Tensor:
    """Return the logarithms of the tempered probabilities (n, k)."""
    s = torch.as_tensor(t2, dtype=logits.dtype, device=logits.device) - 1
    s = s.clamp(min=torch.finfo(logits.dtype).tiny ** 0.5)  # at so small a power exp_t is the exponential
    z = logits - logits.amax(dim=1, keepdim=True)  # (n, k)
    with torch.no_grad():
        norm = torch.zeros_like(z[:, :1])  # (n, 1)
        for _ in range(STEPS):
            norm = norm + _step(z, norm, s)
    norm = norm + _step(z, norm, s)  # one more, to have the gradient: that of the root, by the implicit function
    return -torch.log1p(s * (norm - z)) / s


def _step(z: Tensor, norm: Tensor, s: Tensor) -> Tensor:
    """Return Newton's step (n, 1) towards the root of ``(sum of exp_t(z - norm)) ** -s - 1``.

    That is concave in the norm, so steps from the left never pass the root. Where all scores are equal it is straight,
    and so is the logarithm that it becomes for ``s -> 0``: one step is enough.
    """
    log_u = torch.log1p(s * (norm - z))  # (n, k)
    log_sum = torch.logsumexp(-log_u / s, dim=1, keepdim=True)  # (n, 1)
    slope = torch.exp(torch.logsumexp(-log_u / s - log_u, dim=1, keepdim=True) - log_sum)  # (n, 1), of -log_sum
    return torch.expm1(s * log_sum) / s / slope
