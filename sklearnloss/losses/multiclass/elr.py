"""Early-learning regularisation."""

from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, NonNegative, Search
from sklearnloss.functional.with_slope import blocks, with_slope
from sklearnloss.typing import FitScalar, Index, Labels, Logits, PerRow

FLOOR = 1e-4  # of the probabilities that enter an average, and one minus their ceiling


# 1. As in the authors' code, probabilities are clipped before they enter the average, so that no logarithm of zero
#    comes up. Theirs are clipped in the product too, which takes the gradient from rows that are very sure.
@loss("elr", task="multiclass", gradient="surrogate", status="known")
class EarlyLearning(nn.Module):
    r"""Cross entropy, and a pull of each row towards what the model has thought of it so far.

    Networks learn right labels first and wrong ones by heart later. The pull keeps what was learnt early: rows whose
    label contradicts it get little gradient, so they are not learnt by heart.

    Parameters
    ----------
    n_samples : int
        Rows of the training set; each keeps an average of its probabilities.
    n_classes : int
        Number of classes k.
    momentum : float in [0, 1), default=0.7
        How much of the average is kept at a visit of its row. The authors take 0.7 for ten classes and 0.9 for a
        hundred.
    weight : float in [0, inf), default=3.0
        Weight of the pull; 7 for a hundred classes.

    Notes
    -----
    With averages :math:`t_i`, which start at zero and through which no gradient flows,

    .. math:: \ell_i = -\log p_{i y_i} + \lambda \log\big(1 - \langle p_i, t_i \rangle\big), \qquad
        t_i \leftarrow \beta t_i + (1 - \beta) p_i

    A visit of a row in training first moves its average, then takes the loss at it; elsewhere the average is used as it
    stands. ``weight=0`` is cross entropy. The value may be negative. Not proper: the pull makes probabilities surer.
    O(n k), and k numbers per training row.

    References
    ----------
    .. [1] Liu, Niles-Weed, Razavian, Fernandez-Granda. "Early-learning regularization prevents memorization of noisy
       labels". NeurIPS 2020.

    Examples
    --------
    >>> elr = EarlyLearning(n_samples=5, n_classes=2)
    >>> elr(torch.tensor([[0.0, 0.0]]), torch.tensor([0]), index=torch.tensor([4]))  # log(2) + 3 * log(1 - 0.15)
    tensor([0.2056])
    >>> elr.average[4]
    tensor([0.1500, 0.1500])
    """

    average: Tensor

    def __init__(
        self,
        *,
        n_samples: FitScalar,
        n_classes: FitScalar,
        momentum: Annotated[Fraction, Search(0.5, 0.95)] = 0.7,
        weight: Annotated[NonNegative, Search(0.3, 10, log=True)] = 3.0,
    ) -> None:
        super().__init__()
        self.momentum, self.weight = momentum, weight
        self.register_buffer("average", torch.zeros(n_samples, n_classes))

    def forward(self, logits: Logits, y: Labels, *, index: Index) -> PerRow:
        """Return one value per row (n,); in training, move the averages of these rows.

        Parameters
        ----------
        logits : Tensor of shape (n, k)
            Raw scores.
        y : LongTensor of shape (n,)
            Class of each row, in 0..k-1.
        index : LongTensor of shape (n,)
            Numbers of the rows in the training set.
        """
        if self.training:
            for rows in blocks(logits):
                self._visit(logits[rows].detach(), index[rows])
        return with_slope(_formula, _written, logits, y, index, of="row", average=self.average, weight=self.weight)

    def _visit(self, logits: Tensor, index: Tensor) -> None:
        """Move the averages of these rows."""
        shares = torch.softmax(logits, dim=1).clamp_(FLOOR, 1 - FLOOR)
        shares.mul_((1 - self.momentum) / shares.sum(dim=1, keepdim=True))
        self.average[index] = self.average[index].mul_(self.momentum).add_(shares)


def _formula(logits: Tensor, y: Tensor, index: Tensor, *, average: Tensor, weight: Any) -> Tensor:
    """Return the loss of each row in plain torch."""
    agreement = (torch.softmax(logits, dim=1) * average[index]).sum(dim=1)  # (n,), at most 1 - FLOOR
    return F.cross_entropy(logits, y, reduction="none") + weight * torch.log1p(-agreement)  # (n,)


def _written(
    logits: Tensor, y: Tensor, index: Tensor, values: Tensor, slopes: Tensor, *, average: Tensor, weight: Any
) -> None:
    """Write the loss of each row and its slope."""
    log_p = torch.log_softmax(logits, dim=1)  # (n, k)
    p = log_p.exp()
    terms = p * average[index]
    agreement = terms.sum(dim=1)  # (n,)
    torch.sub(weight * torch.log1p(-agreement), log_p.gather(1, y[:, None]).squeeze(1), out=values)
    pull = (weight / (1 - agreement))[:, None]  # (n, 1)
    torch.mul(p, 1 + pull * agreement[:, None], out=slopes).sub_(terms.mul_(pull))
    slopes.scatter_add_(1, y[:, None], -torch.ones_like(pull))
