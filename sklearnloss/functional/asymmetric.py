"""The asymmetric loss: cross entropy per label with a focusing power for each side, and a shift of the negatives."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.functional.numerics import power
from sklearnloss.functional.with_slope import with_slope

__all__ = ["asymmetric"]

FAR = 80.0  # a score from which on the other side has a probability of exp(-score), in any precision


def asymmetric(
    label_logits: Tensor, y: Tensor, *, gamma_neg: Any, gamma_pos: Any, shift: Any, detach_focal: bool
) -> Tensor:
    r"""Return the asymmetric loss of each label.

    Parameters
    ----------
    label_logits, y : Tensor of shape (n, n_labels)
        Log odds, and labels, 0. or 1.
    gamma_neg, gamma_pos : float in [0, inf), or Tensor of shape (n_labels,)
        Focusing powers.
    shift : float in [0, 1)
        Probability m below which a negative counts as zero.
    detach_focal : bool
        Whether the powers are constants without a gradient.

    Notes
    -----
    .. math:: \ell = -y (1 - p)^{\gamma_+} \log p - (1 - y)\, [p - m]_+^{\gamma_-} \log(1 - [p - m]_+)

    Examples
    --------
    >>> y, plain = torch.tensor([1.0, 0.0]), {"shift": 0.0, "detach_focal": False}
    >>> asymmetric(torch.zeros(2), y, gamma_neg=0.0, gamma_pos=1.0, **plain)
    tensor([0.3466, 0.6931])
    """
    return with_slope(
        _formula,
        _written,
        label_logits,
        y,
        gamma_neg=gamma_neg,
        gamma_pos=gamma_pos,
        shift=shift,
        detach_focal=detach_focal,
    )


def _formula(
    label_logits: Tensor, y: Tensor, *, gamma_neg: Any, gamma_pos: Any, shift: Any, detach_focal: bool
) -> Tensor:
    """Return the loss of each label in plain torch."""
    p, q = torch.sigmoid(label_logits), torch.sigmoid(-label_logits)  # (n, n_labels)
    log_shift = torch.as_tensor(shift, dtype=p.dtype, device=p.device).log()
    log_p = F.logsigmoid(label_logits)
    log_q = torch.logaddexp(F.logsigmoid(-label_logits), log_shift).clamp(max=0.0)  # log(1 - p_m), at any score
    focus_pos, focus_neg = power(q, gamma_pos), power(p - shift, gamma_neg)
    if detach_focal:
        focus_pos, focus_neg = focus_pos.detach(), focus_neg.detach()
    return -y * focus_pos * log_p - (1 - y) * focus_neg * log_q


def _written(
    label_logits: Tensor,
    y: Tensor,
    values: Tensor,
    slopes: Tensor,
    *,
    gamma_neg: Any,
    gamma_pos: Any,
    shift: Any,
    detach_focal: bool,
) -> None:
    """Write the loss of each label and its slope.

    With t the score of the wrong side, u its probability, and m zero for positives, the loss is
    ``f ** gamma * -log(1 - f)`` where ``f = max(u - m, 0)``, and the logarithm ``log1p(f / (1 - f))``.
    """
    t = torch.addcmul(label_logits, label_logits, y, value=-2)
    sign, slack = (-2 * y).add_(1), (-shift * y).add_(shift)
    wrong, right = torch.sigmoid(t), torch.neg(t).sigmoid_().clamp_(min=math.exp(-FAR))
    f = torch.sub(wrong, slack).clamp_(min=0.0)
    sign.mul_(f.sign()).mul_(wrong).mul_(right)  # the slope of f; none below the shift
    f.clamp_(min=torch.finfo(f.dtype).tiny)
    torch.div(f, right.add_(slack), out=slopes)
    unbounded = y.clamp(min=1.0 * (shift == 0))  # without a shift the right side vanishes for negatives as well
    torch.maximum(torch.log1p(slopes), t.mul_(unbounded), out=values)  # a softplus, which is t from FAR on
    exponent = ((gamma_pos - gamma_neg) * y).add_(gamma_neg - 1)
    if not detach_focal:
        slopes.add_(values).addcmul_(exponent, values)
    focus = f.log().mul_(exponent).exp_()  # a general power takes five times as long
    slopes.mul_(focus).mul_(sign)
    values.mul_(focus).mul_(f)
