"""Rank-consistent ordinal regression: one score, and a bias for each level."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.typing import FitScalar, Labels, PerRow


# 1. Biases start where the classes are equally likely at score 0, those of the authors' package between 1 and 0.
# 2. The paper's weights of levels are one.
@loss("coral", task="ordinal", ordered=True, proper=True, link="proba", outputs=lambda: 1)
class RankConsistent(nn.Module):
    r"""Binary cross entropy of being above each class but the highest, by one score that all levels share.

    Levels differ by their biases only, so their probabilities fall from level to level in the same way for all rows;
    training itself puts the biases in order.

    Parameters
    ----------
    n_classes : int
        Number of classes k; there are k - 1 levels.

    Notes
    -----
    With the score :math:`s` of a row and biases :math:`b_1, \dots, b_{k - 1}`, which move at ``lr * loss_lr``,

    .. math:: \ell = -\sum_{j = 1}^{k - 1} [y \ge j] \log q_j + [y < j] \log(1 - q_j), \qquad
        q_j = \sigma(s + b_j)

    in which :math:`q_j` stands for :math:`P(y \ge j)`. Where the loss is least the biases fall, as the paper proves:
    where two of them rise, setting one to the other lowers it. Before that they may rise, so probabilities take them
    sorted, and class j has the difference of two neighboring :math:`q_j`. As a sum of logarithmic scores the loss is a
    proper one of these probabilities; `cumulative_link`, of the same form, is the likelihood. Two classes give logistic
    loss. Equal biases leave nothing between the lowest and the highest class. Only sums of score and biases count.

    With Adam a bias moves by ``lr * loss_lr`` a step, the score of a wide network by far more. Until the biases have
    caught up, classes in the middle are predicted too seldom; ``loss_lr=5`` or 10 cures that. The paper predicts the
    number of levels with :math:`q_j > 1/2`, which is the median; an estimator predicts the most probable class. O(n k).

    References
    ----------
    .. [1] Cao, Mirjalili, Raschka. "Rank consistent ordinal regression for neural networks with application to age
       estimation". Pattern Recognition Letters 140, 2020.

    Examples
    --------
    >>> coral = RankConsistent(n_classes=3)  # biases log(2) and -log(2)
    >>> coral.proba(torch.zeros(1, 1)).detach()
    tensor([[0.3333, 0.3333, 0.3333]])
    >>> coral(torch.zeros(2, 1), torch.tensor([1, 2])).detach()  # 2 log(3/2), log(3/2) + log(3)
    tensor([0.8109, 1.5041])
    """

    def __init__(self, *, n_classes: FitScalar) -> None:
        super().__init__()
        level = torch.arange(1, n_classes)
        self.biases = nn.Parameter(((n_classes - level) / level).log())

    def forward(self, thresholds: Tensor, y: Labels) -> PerRow:
        """Return one value per row (n,).

        Parameters
        ----------
        thresholds : Tensor of shape (n, 1)
            The score of each row; of several columns it is the mean.
        y : LongTensor of shape (n,)
            Class of each row, from the lowest, 0, to the highest, k - 1.
        """
        leads = thresholds.mean(dim=1, keepdim=True) + self.biases  # (n, k - 1)
        above = y[:, None] > torch.arange(leads.shape[1], device=y.device)  # (n, k - 1)
        return -F.logsigmoid(torch.where(above, leads, -leads)).sum(dim=1)  # (n,)

    def proba(self, thresholds: Tensor) -> Tensor:
        """Return class probabilities (n, k)."""
        biases = self.biases.sort(descending=True).values
        leads = thresholds.mean(dim=1, keepdim=True) + biases  # (n, k - 1)
        # q_j - q_{j + 1} = q_j (1 - q_{j + 1}) (1 - exp(b_{j + 1} - b_j)), which rounding never makes negative
        reached = F.pad(torch.sigmoid(leads), (1, 0), value=1.0)  # (n, k)
        ended = F.pad(torch.sigmoid(-leads), (0, 1), value=1.0)  # (n, k)
        return reached * ended * F.pad(-torch.expm1(biases.diff()), (1, 1), value=1.0)
