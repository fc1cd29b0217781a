"""Cumulative link models: one score, and ordered thresholds between the classes."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.functional.numerics import steady_exp
from sklearnloss.typing import FitScalar, Labels, PerRow

RARE = -30.0  # x below which log(1 - exp(-exp(x))) and log(softplus(x)) are x

STARTS = {  # the score below which a share of the probability lies
    "logit": torch.logit,
    "probit": torch.special.ndtri,
    "cloglog": lambda share: (-torch.log1p(-share)).log(),
}


@loss(
    "cumulative_link", task="ordinal", ordered=True, proper=True, link="proba", outputs=lambda: 1, aliases=("ordinal",)
)
class CumulativeLink(nn.Module):
    r"""Negative log likelihood of a class as the interval between two thresholds in which a noisy score lies.

    With a linear network and ``link="logit"`` this is the proportional odds model: a step of the score multiplies the
    odds of being above every threshold by the same factor.

    Parameters
    ----------
    n_classes : int
        Number of classes k; there are k - 1 thresholds.
    link : {"logit", "probit", "cloglog"}, default="logit"
        Distribution F of the noise. Logistic: proportional odds. Normal: ordered probit, with lighter tails. Extreme
        value, ``F(x) = 1 - exp(-exp(x))``: proportional hazards in grouped time; it is not symmetric, so the reversed
        order of classes is another model.

    Notes
    -----
    With the score :math:`s` of a row and thresholds :math:`h_1 < \dots < h_{k - 1}`, which move at ``lr * loss_lr``,

    .. math:: \ell = -\log\big(F(h_{y + 1} - s) - F(h_y - s)\big), \qquad h_0 = -\infty,\ h_k = \infty

    The gaps between thresholds are softplus of what is kept, so their order never breaks. No logarithm is taken of a
    difference of two F: for the logit it is :math:`\log\sigma(h_{y + 1} - s) + \log\sigma(s - h_y) + \log(1 - e^{h_y -
    h_{y + 1}})`, and the others have forms like it. Thresholds start where the classes are equally likely at score 0.
    Only differences of score and thresholds count. With two classes the logit gives logistic loss. The probabilities of
    a row have one degree of freedom: they estimate those of the classes as far as rows of equal score are alike. For
    cloglog the hazard :math:`e^x` grows along its tangent from :math:`x = 30` on, where a class above has no
    probability left.

    With Adam a threshold moves by ``lr * loss_lr`` a step, the score of a wide network by far more. Until the
    thresholds have caught up, classes in the middle are predicted too seldom; ``loss_lr=5`` or 10 cures that. O(n k).

    References
    ----------
    .. [1] McCullagh. "Regression models for ordinal data". Journal of the Royal Statistical Society B 42, 1980.

    Examples
    --------
    >>> odds = CumulativeLink(n_classes=3)  # thresholds -log(2) and log(2)
    >>> odds.proba(torch.tensor([[0.0], [5.0]])).detach()
    tensor([[0.3333, 0.3333, 0.3333],
            [0.0034, 0.0099, 0.9867]])
    >>> odds(torch.zeros(1, 1), torch.tensor([1])).detach()  # log(3)
    tensor([1.0986])
    """

    def __init__(self, *, n_classes: FitScalar, link: Literal["logit", "probit", "cloglog"] = "logit") -> None:
        super().__init__()
        self.link = link
        starts = STARTS[link](torch.arange(1, n_classes, dtype=torch.float64) / n_classes).float()
        self.lowest = nn.Parameter(starts[0])
        self.gaps = nn.Parameter(starts.diff().expm1().log())  # softplus of it is the gap to the next threshold

    def forward(self, thresholds: Tensor, y: Labels) -> PerRow:
        """Return one value per row (n,).

        Parameters
        ----------
        thresholds : Tensor of shape (n, 1)
            The score of each row; of several columns it is the mean.
        y : LongTensor of shape (n,)
            Class of each row, from the lowest, 0, to the highest, k - 1.
        """
        return -self._log_proba(thresholds).gather(1, y[:, None]).squeeze(1)  # (n,)

    def proba(self, thresholds: Tensor) -> Tensor:
        """Return class probabilities (n, k)."""
        return torch.softmax(self._log_proba(thresholds), dim=1)  # they sum to one but for rounding

    def cuts(self) -> Tensor:
        """Return the thresholds (k - 1,) in their order."""
        return self.lowest + F.pad(F.softplus(self.gaps).cumsum(0), (1, 0))

    def _log_proba(self, thresholds: Tensor) -> Tensor:
        """Return the logarithm of each class's probability (n, k)."""
        x = self.cuts() - thresholds.mean(dim=1, keepdim=True)  # (n, k - 1)
        match self.link:
            case "logit":
                # 1 - exp(-softplus(g)) = sigmoid(g)
                width = F.logsigmoid(self.gaps)  # (k - 2,)
                return F.pad(F.logsigmoid(x), (0, 1)) + F.pad(F.logsigmoid(-x), (1, 0)) + F.pad(width, (1, 1))
            case "probit":
                inside = _log_normal_interval(x[:, :-1], self.gaps)  # (n, k - 2)
                return torch.cat([_log_normal(x[:, :1]), inside, _log_normal(-x[:, -1:])], dim=1)
            case _:
                # exp(x + softplus(g)) - exp(x) = exp(x + g): the hazard between two thresholds
                between = torch.cat([x[:, :1], x[:, :-1] + self.gaps], dim=1)  # (n, k - 1)
                return F.pad(_log_hit(between), (0, 1)) - F.pad(steady_exp(x), (1, 0))


def _log_hit(log_hazard: Tensor) -> Tensor:
    """Return ``log(1 - exp(-exp(x)))``."""
    hazard = log_hazard.clamp(RARE, -RARE).exp()
    return torch.where(log_hazard < RARE, log_hazard, torch.log(-torch.expm1(-hazard)))


def _log_normal(x: Tensor) -> Tensor:
    """Return the logarithm of the standard normal distribution function; torch's own loses the slope far out."""
    low, high = x.clamp(max=0.0), x.clamp(min=0.0)
    tail = torch.log(0.5 * torch.special.erfcx(-low / math.sqrt(2))) - 0.5 * low.square()
    return torch.where(x < 0, tail, torch.log1p(-0.5 * torch.erfc(high / math.sqrt(2))))


def _log_normal_interval(lower: Tensor, gaps: Tensor) -> Tensor:
    """Return the logarithm of the normal probability between ``lower`` and ``lower + softplus(gaps)``."""
    width = F.softplus(gaps)  # (k - 2,)
    log_width = torch.where(gaps < RARE, gaps, F.softplus(gaps.clamp(min=RARE)).log())
    middle = (lower + 0.5 * width).abs()  # (n, k - 2); mirrored into the lower tail, where nothing cancels
    # below this width the density at the middle and one term more are closer than a difference of rounded logarithms
    limit = (1920 * torch.finfo(middle.dtype).eps) ** 0.2 / (1 + middle)
    thin, wide = torch.minimum(width, limit), torch.maximum(width, limit)
    density = log_width - 0.5 * middle.square() - 0.5 * math.log(2 * math.pi)
    narrow = density + torch.log1p((middle.square() - 1) * thin.square() / 24)
    upper = _log_normal(0.5 * wide - middle)
    lost = torch.expm1(_log_normal(-0.5 * wide - middle) - upper)
    return torch.where(width < limit, narrow, upper + torch.log(-lost))
