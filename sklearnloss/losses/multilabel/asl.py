"""Asymmetric loss."""

import math
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, NonNegative, Search
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import LabelLogits, LabelMatrix, PerRow

FAR = 80.0  # a score from which on the other side has a probability of exp(-score), in any precision


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
    >>> asl(torch.tensor([[0.0, 0.0, -3.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    tensor([[0.3466, 0.0245, 0.0000]])
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
    focus_pos, focus_neg = _power(q, gamma_pos), _power(p - shift, gamma_neg)
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
    power = ((gamma_pos - gamma_neg) * y).add_(gamma_neg - 1)
    if not detach_focal:
        slopes.add_(values).addcmul_(power, values)
    focus = f.log().mul_(power).exp_()  # a general power takes five times as long
    slopes.mul_(focus).mul_(sign)
    values.mul_(focus).mul_(f)


def _power(base: Tensor, gamma: float) -> Tensor:
    """Return the power of the positive part; above zero, where the slope of a power below one is infinite."""
    return base.clamp(min=torch.finfo(base.dtype).tiny) ** gamma
