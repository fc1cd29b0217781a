"""AUC margin loss."""

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.gradients import ascend
from sklearnloss.typing import Labels, Scalar, Scores, Weights


@loss("aucm", task="binary", unit="batch", link="none", sampler="dual")
class AUCMargin(nn.Module):
    r"""Area under the ROC curve by class means and variances alone, with no sum over pairs.

    Both classes are drawn together and their means apart, until they differ by ``margin``.

    Parameters
    ----------
    mode : {"closed", "min_max"}, default="closed"
        ``"closed"`` puts the best ``a, b, alpha`` of the batch into the formula. ``"min_max"`` learns them over many
        batches, which is unbiased where batches are small: ``a, b`` descend and ``alpha`` ascends, at ``lr * loss_lr``.
    margin : float in (0, inf), default=1.0
        Distance that the class means should have; probabilities differ by one at most.

    Notes
    -----
    With :math:`h = \sigma(s)` and means within each class,

    .. math::
        \min_{a, b} \max_{\alpha \ge 0}\ \overline{(h_+ - a)^2} + \overline{(h_- - b)^2}
        + 2 \alpha (m + \bar h_- - \bar h_+) - \alpha^2

    is solved by :math:`a = \bar h_+`, :math:`b = \bar h_-` and :math:`\alpha = [m + \bar h_- - \bar h_+]_+`, whence

    .. math:: \ell = \operatorname{Var}_+ h + \operatorname{Var}_- h + [m + \bar h_- - \bar h_+]_+^2

    is the closed form. As long as the means differ by less than the margin it is the mean of
    :math:`(m - h_+ + h_-)^2` over all pairs; beyond, the last term vanishes where the square of pairs would go on to
    punish. ``"min_max"`` begins with what is best for scores of zero.

    The loss orders rows and estimates no probability, so there is no link: ``calibrate="sigmoid"`` gives one. It learns
    best after some epochs of cross entropy. A batch without one of the classes gives zero. O(n).

    References
    ----------
    .. [1] Yuan, Yan, Sonka, Yang. "Large-scale robust deep AUC maximization: a new surrogate loss and empirical studies
       on medical image classification". ICCV 2021.

    Examples
    --------
    >>> scores = torch.logit(torch.tensor([0.9, 0.4, 0.3, 0.1]))
    >>> AUCMargin()(scores, torch.tensor([1.0, 1.0, 0.0, 0.0]))
    tensor(0.3750)
    """

    def __init__(
        self,
        *,
        mode: Literal["closed", "min_max"] = "closed",
        margin: Annotated[Positive, Search(0.3, 1)] = 1.0,
    ) -> None:
        super().__init__()
        self.mode, self.margin = mode, margin
        if mode == "min_max":
            self.a = nn.Parameter(torch.full((), 0.5))
            self.b = nn.Parameter(torch.full((), 0.5))
            self.alpha = nn.Parameter(torch.zeros(()) + margin)

    def forward(self, scores: Scores, y: Labels, *, sample_weight: Weights | None = None) -> Scalar:
        """Return the value of a batch.

        Parameters
        ----------
        scores : Tensor of shape (n,)
            Scores; larger for the positive class.
        y : Tensor of shape (n,)
            0. or 1., of the scores' dtype.
        sample_weight : Tensor of shape (n,), default=None
            Weights of the rows in the means.

        Returns
        -------
        Tensor of shape ()
            Zero if a class is missing.
        """
        h = torch.sigmoid(scores)  # (n,)
        weight = torch.ones_like(h) if sample_weight is None else sample_weight.to(h.dtype)
        positive, any_positive = _shares(weight * y)  # (n,), ()
        negative, any_negative = _shares(weight * (1 - y))
        mean_pos, mean_neg = (positive * h).sum(), (negative * h).sum()
        gap = self.margin + mean_neg - mean_pos
        if self.mode == "closed":
            a, b, ranking = mean_pos, mean_neg, gap.relu().square()
        else:
            a, b, ranking = self.a.to(h.dtype), self.b.to(h.dtype), self._ranking(gap)
        spread = (positive * (h - a).square()).sum() + (negative * (h - b).square()).sum()
        return (spread + ranking) * (any_positive & any_negative)

    def _ranking(self, gap: Tensor) -> Tensor:
        """Return ``2 alpha gap - alpha**2`` at ``max(alpha, 0)``, which ``alpha`` ascends and the scores descend."""
        alpha = ascend(self.alpha.to(gap.dtype))
        # the clipped value passes the gradient on, so that an alpha below zero is drawn back and not lost
        clipped = alpha + (alpha.relu() - alpha).detach()
        return clipped * (2 * gap - alpha)


def _shares(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights that sum to one, and whether there are any."""
    total = weight.sum()
    return weight / torch.where(total > 0, total, 1.0), total > 0
