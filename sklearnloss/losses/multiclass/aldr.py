"""Adaptive label-distributionally robust loss."""

import math
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, NonNegative, Positive, Search
from sklearnloss.functional.with_slope import blocks, with_slope
from sklearnloss.typing import FitScalar, Index, Labels, Logits, PerRow

FLOOR = 1e-6  # of the mean size, for a head that starts at zero


# 1. The shares q are used as they are; the authors' code adds 1e-5 to each before it takes their divergence.
@loss("aldr", task="multiclass", link="proba", gradient="surrogate", aliases=("aldr_kl",))
class AdaptiveLDR(nn.Module):
    r"""LDR whose temperature each row finds for itself: a sure row is held to its hardest competitor.

    Parameters
    ----------
    n_samples : int
        Rows of the training set; each keeps its temperature.
    n_classes : int
        Number of classes k.
    lam : float in (0, inf), default=1.0
        Temperature of a row that knows nothing, at which each row starts; try 10 where many labels are wrong.
    margin : float in [0, inf), default=1.0
        Amount by which the true class must lead.
    alpha : float in (1, inf), default=2.0
        How little the temperatures may differ: they stay above ``lam * (1 - 1 / alpha)``.
    normalize : bool, default=True
        Whether the scores of a row are first scaled to a mean size of one.

    Notes
    -----
    .. math:: \ell_i = \lambda_i \log \frac1k \sum_j \exp\frac{s_j - s_y + m\,[j \ne y]}{\lambda_i}
        - \frac{\alpha \log k}{2 \lambda} (\lambda_i - \lambda)^2, \qquad s = \frac{k z}{\|z\|_1}

    .. math:: \lambda_i = \lambda \Big(1 - \frac{\mathrm{KL}(q \,\|\, 1/k)}{\alpha \log k}\Big), \qquad
        q = \operatorname{softmax}(s / \lambda_i^\text{before})

    A visit of a row in training first moves its temperature, through which no gradient flows, then takes the loss at
    it; elsewhere the temperature is used as it stands. ``alpha -> inf`` is LDR on the scaled scores. The value may be
    negative. Probabilities are the softmax of ``s / lam``. O(n k), and one number per training row.

    References
    ----------
    .. [1] Zhu, Ying, Yang. "Label distributionally robust losses for multi-class classification: consistency,
       robustness and adaptivity". ICML 2023.

    Examples
    --------
    >>> aldr = AdaptiveLDR(n_samples=5, n_classes=3)
    >>> aldr(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]), index=torch.tensor([4]))
    tensor([-0.6787])
    >>> aldr.temperature
    tensor([1.0000, 1.0000, 1.0000, 1.0000, 0.7386])
    """

    temperature: Tensor

    def __init__(
        self,
        *,
        n_samples: FitScalar,
        n_classes: FitScalar,
        lam: Annotated[Positive, Search(0.1, 10, log=True)] = 1.0,
        margin: Annotated[NonNegative, Search(0.1, 10, log=True)] = 1.0,
        alpha: Annotated[float, Interval(1, math.inf), Search(1.5, 8, log=True)] = 2.0,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.lam, self.margin, self.alpha, self.normalize = lam, margin, alpha, normalize
        self.log_k = math.log(n_classes)
        self.register_buffer("temperature", torch.full((n_samples,), float(lam)))

    def forward(self, logits: Logits, y: Labels, *, index: Index) -> PerRow:
        """Return one value per row (n,); in training, move the temperatures of these rows.

        Parameters
        ----------
        logits : Tensor of shape (n, k)
            Raw scores.
        y : LongTensor of shape (n,)
            Class of each row, in 0..k-1.
        index : LongTensor of shape (n,)
            Numbers of the rows in the training set.
        """
        lam = self._visit(logits.detach(), index)  # (n,)
        soft = with_slope(
            _formula, _written, logits, y, lam, of="row", margin=self.margin, normalize=self.normalize
        )  # (n,)
        cost = self.alpha * self.log_k / (2 * self.lam) * (lam - self.lam) ** 2  # (n,)
        return soft - lam * self.log_k - cost

    def proba(self, logits: Logits) -> Tensor:
        """Return class probabilities (n, k)."""
        return torch.softmax(logits / (_size(logits, self.normalize) * self.lam), dim=1)

    def _visit(self, logits: Tensor, index: Tensor) -> Tensor:
        """Return the temperatures of these rows (n,), moved if the loss is in training."""
        lam = self.temperature[index].to(logits.dtype)  # (n,)
        if not self.training:
            return lam
        for rows in blocks(logits):
            log_q = torch.log_softmax(logits[rows] / (_size(logits[rows], self.normalize) * lam[rows, None]), dim=1)
            sure = 1 + (log_q.exp() * log_q).sum(dim=1) / self.log_k  # (b,); 0 for equal shares, 1 for certainty
            lam[rows] = self.lam * (1 - sure.clamp(0, 1) / self.alpha)
        self.temperature[index] = lam.to(self.temperature.dtype)
        return lam


def _formula(logits: Tensor, y: Tensor, lam: Tensor, *, margin: Any, normalize: bool) -> Tensor:
    """Return the soft lead of the other classes in each row, in plain torch."""
    scores = logits / _size(logits, normalize)  # (n, k)
    gap = scores - scores.gather(1, y[:, None]) + margin
    gap = gap.scatter(1, y[:, None], 0.0)  # over itself the lead is nothing
    return lam * torch.logsumexp(gap / lam[:, None], dim=1)


def _written(
    logits: Tensor, y: Tensor, lam: Tensor, values: Tensor, slopes: Tensor, *, margin: Any, normalize: bool
) -> None:
    """Write the soft lead of each row and its slope."""
    size, true = _size(logits, normalize), y[:, None]  # (n, 1)
    scale = 1 / (size * lam[:, None])
    gap = torch.mul(logits, scale).sub_(logits.gather(1, true).mul_(scale).sub_(margin / lam[:, None]))
    torch.log_softmax(gap.scatter_(1, true, 0.0), dim=1, out=slopes)  # of the true class: less the logsumexp
    torch.mul(slopes.gather(1, true).squeeze(1), -lam, out=values)
    slopes.exp_().scatter_add_(1, true, -torch.ones_like(size)).mul_(1 / size)
    if normalize:  # the size follows the scores, but for its floor
        pull = (logits * slopes).sum(dim=1, keepdim=True).mul_((size > FLOOR) / (size * logits.shape[1]))  # (n, 1)
        slopes.addcmul_(logits.sign(), pull, value=-1)


def _size(logits: Tensor, normalize: bool) -> Tensor:
    """Return the mean size of each row's scores (n, 1), or one."""
    if not normalize:
        return logits.new_ones(len(logits), 1)
    return logits.abs().mean(dim=1, keepdim=True).clamp(min=FLOOR)
