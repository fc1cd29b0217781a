"""Ordinal regression by conditional probabilities: whether a row that has reached a class goes on to the next."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.typing import Labels, PerRow


def chained(thresholds: Tensor) -> Tensor:
    """Return class probabilities (n, k) from the log odds (n, k - 1) of going on from each class to the next."""
    reached = F.pad(F.logsigmoid(thresholds).cumsum(dim=1), (1, 0))  # (n, k)
    return torch.exp(reached + F.pad(F.logsigmoid(-thresholds), (0, 1)))


# 1. A row counts once. The paper divides the sum over a batch by the number of its (row, level) pairs instead of rows.
@loss("corn", task="ordinal", ordered=True, proper=True, link=chained)
def corn(thresholds: Tensor, y: Labels) -> PerRow:
    r"""Binary cross entropy of going on to the next class, for the classes that a row has reached.

    Each level has weights of its own, which `coral` and `cumulative_link` share, and probabilities are still in order.

    Parameters
    ----------
    thresholds : Tensor of shape (n, k - 1)
        Log odds of going on from each class but the highest, given that it is reached.
    y : LongTensor of shape (n,)
        Class of each row, from the lowest, 0, to the highest, k - 1.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    With :math:`f_j = \sigma(z_j) = P(y > j \mid y > j - 1)`,

    .. math:: \ell = -\sum_{j = 0}^{\min(y, k - 2)} [y > j] \log f_j + [y = j] \log(1 - f_j), \qquad
        P(y > j) = f_0 f_1 \cdots f_j

    A row takes part in the levels up to its class and in no other: high levels learn from the rows that reach them,
    which may be few. By the chain rule :math:`\ell = -\log P(y)`, so the loss is a proper one of the class
    probabilities, as for the continuation-ratio model. Two classes give logistic loss. The order of the classes
    matters: turned round, it is another model. The paper divides the sum over a batch by the number of pairs of a row
    and a level that it takes part in, the mean here by the number of rows: over all rows that is a constant factor,
    from batch to batch it varies, and a weight would no longer be a repetition. The paper predicts the number of levels
    with :math:`P(y > j) > 1/2`, which is the median; an estimator predicts the most probable class. O(n k).

    References
    ----------
    .. [1] Shi, Cao, Raschka. "Deep neural networks for rank-consistent ordinal regression based on conditional
       probabilities". Pattern Analysis and Applications 26, 2023.

    Examples
    --------
    >>> corn(torch.zeros(3, 2), torch.tensor([0, 1, 2]))  # log(2), 2 log(2), 2 log(2)
    tensor([0.6931, 1.3863, 1.3863])
    >>> chained(torch.zeros(1, 2))
    tensor([[0.5000, 0.2500, 0.2500]])
    """
    levels = torch.arange(thresholds.shape[1], device=y.device)
    agreement = torch.where(y[:, None] > levels, thresholds, -thresholds)  # (n, k - 1)
    return -torch.where(y[:, None] >= levels, F.logsigmoid(agreement), 0.0).sum(dim=1)  # (n,)
