"""Asymmetric loss for a single label."""

from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, NonNegative, Search
from sklearnloss.functional.numerics import log_odds, power
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import Labels, Logits, PerRow


@loss("asl_single", task="multiclass")
def asl_single(
    logits: Logits,
    y: Labels,
    *,
    gamma_neg: Annotated[NonNegative, Search(0, 6)] = 4.0,
    gamma_pos: Annotated[NonNegative, Search(0, 2)] = 0.0,
    smoothing: Annotated[Fraction, Search(0.01, 0.3, log=True)] = 0.1,
) -> PerRow:
    r"""Cross entropy against smoothed labels in which improbable classes are left alone.

    Label smoothing pulls up every other class, the more the less probable it is; here only the probable ones feel it.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    gamma_neg : float in [0, inf), default=4.0
        Focusing power of the other classes. Without smoothing they do not enter, and it has no effect.
    gamma_pos : float in [0, inf), default=0.0
        Focusing power of the true class.
    smoothing : float in [0, 1), default=0.1
        Share of the label that is spread evenly over all k classes, the true one included.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -\Bigl(1 - \epsilon + \frac{\epsilon}{k}\Bigr) (1 - p_y)^{\gamma_+} \log p_y
        - \frac{\epsilon}{k} \sum_{j \ne y} p_j^{\gamma_-} \log p_j

    Without smoothing it is the focal loss with power ``gamma_pos``, whatever ``gamma_neg`` is, and cross entropy at a
    power of zero; with smoothing and both powers zero it is label smoothing. O(n k).

    References
    ----------
    .. [1] Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor. "Asymmetric loss for multi-label
       classification". ICCV 2021.

    Examples
    --------
    >>> asl_single(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([0.1585])
    """
    return with_slope(
        _formula,
        _written,
        logits,
        y,
        of="row",
        gamma_neg=gamma_neg,
        gamma_pos=gamma_pos,
        smoothing=smoothing,
    )


def _formula(logits: Tensor, y: Tensor, *, gamma_neg: Any, gamma_pos: Any, smoothing: Any) -> Tensor:
    """Return the loss of each row in plain torch."""
    log_p = torch.log_softmax(logits, dim=1)  # (n, k)
    share = smoothing / logits.shape[1]
    lead = log_odds(logits, y)  # (n,)
    true = power(torch.sigmoid(-lead), gamma_pos) * F.logsigmoid(lead)
    wrong = log_p.scatter(1, y[:, None], 0.0)  # (n, k); whose terms are zero where the class is the true one
    others = (torch.exp(gamma_neg * wrong) * wrong).sum(dim=1)  # (n,)
    return -(1 - smoothing + share) * true - share * others


def _written(
    logits: Tensor, y: Tensor, values: Tensor, slopes: Tensor, *, gamma_neg: Any, gamma_pos: Any, smoothing: Any
) -> None:
    """Write the loss of each row and its slope."""
    share, column = smoothing / logits.shape[1], y[:, None]
    log_p = torch.log_softmax(logits, dim=1)  # (n, k)
    torch.exp(log_p, out=slopes)
    p, log_true = slopes.gather(1, column), log_p.gather(1, column)  # (n, 1)
    rest = slopes.scatter_(1, column, 0.0).sum(dim=1, keepdim=True)  # (n, 1), one minus p
    log_true = torch.where(rest < 0.5, torch.log1p(-rest), log_true)  # exact wherever p is
    focus = (1 - smoothing + share) * power(rest, gamma_pos)
    gain = focus * (1 - gamma_pos * p * log_true / rest.clamp(min=torch.finfo(rest.dtype).tiny))  # over the odds' slope
    factor = (log_p.scatter_(1, column, 0.0) * gamma_neg).exp_().scatter_(1, column, 0.0)  # (n, k)
    terms = log_p.mul_(factor)
    torch.add(focus * log_true, share * terms.sum(dim=1, keepdim=True), out=values[:, None]).neg_()
    wrong = factor.add_(terms.mul_(gamma_neg)).mul_(share)
    total = wrong.sum(dim=1, keepdim=True)
    slopes.mul_(gain + total).sub_(wrong)
    slopes.scatter_(1, column, p * total - rest * gain)
