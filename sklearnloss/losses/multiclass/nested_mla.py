"""Multi-level activation for nested classes."""

import math
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.typing import FitScalar, Labels, PerRow

SPACING = 0.5  # between the thresholds at the start


# 1. The head of ordered classes has k - 1 columns. Their mean is the one score that the paper has: it is as linear.
@loss("nested_mla", task="ordinal", ordered=True, link="proba", status="guess")
class NestedLevels(nn.Module):
    r"""Logistic loss of every level that a single score must pass: each class is inside the one below.

    With one score and ordered thresholds, a row that has a level has all lower ones, whatever the network says.

    Parameters
    ----------
    n_classes : int
        Number of classes k; there are k - 1 levels above the lowest.
    sharpness : float in (0, inf), default=3.0
        Steepness of a level at its threshold, while thresholds start 0.5 apart around zero. 10 to 20 make levels nearly
        hard, as for the borders of a segmentation; probabilities are too sure then.
    learn_thresholds : bool, default=True
        Whether the thresholds move, at ``lr * loss_lr``; their order is kept.

    Notes
    -----
    With the score :math:`x` of a row and thresholds :math:`h_1 < \dots < h_{k - 1}`,

    .. math:: \ell = -\sum_j [y \ge j] \log q_j + [y < j] \log(1 - q_j), \qquad q_j = \sigma(\alpha (x - h_j))

    in which :math:`q_j` stands for the probability of level j or more, so that :math:`q_j - q_{j + 1}` is that of class
    j; it is never negative. Two classes give logistic loss of ``sharpness * (x - h)``. Only differences of score and
    thresholds count. As in cumulative-link models the probabilities of a row have one degree of freedom, so they
    estimate those of the classes as far as rows of equal score are alike. The paper's Dice loss per level is not part
    of it. O(n k).

    References
    ----------
    .. [1] Hu, Li, Zhao, Dong, Menze, Piraud. "Hierarchical multi-class segmentation of glioma images using networks
       with multi-level activation function". MICCAI Brainlesion Workshop 2018.

    Examples
    --------
    >>> nested = NestedLevels(n_classes=3, learn_thresholds=False)  # thresholds -0.25 and 0.25
    >>> nested(torch.zeros(1, 2), torch.tensor([1])), nested.proba(torch.zeros(1, 2))
    (tensor([0.7737]), tensor([[0.3208, 0.3584, 0.3208]]))
    """

    def __init__(
        self,
        *,
        n_classes: FitScalar,
        sharpness: Annotated[Positive, Search(1, 20, log=True)] = 3.0,
        learn_thresholds: bool = True,
    ) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.lowest = nn.Parameter(torch.tensor(-SPACING * (n_classes - 2) / 2), requires_grad=learn_thresholds)
        # softplus of what is kept is the gap to the next threshold
        gaps = torch.full((n_classes - 2,), math.log(math.expm1(SPACING)))
        self.gaps = nn.Parameter(gaps, requires_grad=learn_thresholds)

    def forward(self, thresholds: Tensor, y: Labels) -> PerRow:
        """Return one value per row (n,).

        Parameters
        ----------
        thresholds : Tensor of shape (n, k - 1)
            The head's output; the score of a row is the mean.
        y : LongTensor of shape (n,)
            Class of each row, from the lowest, 0, to the highest, k - 1.
        """
        leads = self._leads(thresholds)  # (n, k - 1)
        passed = y[:, None] > torch.arange(leads.shape[1], device=y.device)  # (n, k - 1)
        return -F.logsigmoid(torch.where(passed, leads, -leads)).sum(dim=1)  # (n,)

    def proba(self, thresholds: Tensor) -> Tensor:
        """Return class probabilities (n, k)."""
        q = torch.sigmoid(self._leads(thresholds))  # (n, k - 1), falling from level to level
        return F.pad(q, (1, 0), value=1.0) - F.pad(q, (0, 1), value=0.0)

    def _leads(self, thresholds: Tensor) -> Tensor:
        """Return the log odds of each level (n, k - 1)."""
        above = F.pad(F.softplus(self.gaps).cumsum(0), (1, 0), value=0.0)
        h = (self.lowest + above).to(thresholds.dtype)  # (k - 1,)
        return self.sharpness * (thresholds.mean(dim=1, keepdim=True) - h)
