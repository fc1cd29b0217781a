"""Brier score."""

import torch

from sklearnloss.component import loss
from sklearnloss.typing import Labels, Logits, PerRow


@loss("brier", task="multiclass", proper=True)
def brier(logits: Logits, y: Labels) -> PerRow:
    r"""Squared distance between the probabilities and the label: proper like cross entropy, and bounded.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, in [0, 2].

    Notes
    -----
    .. math:: \ell = \sum_j (p_j - [j = y])^2 = 1 - 2 p_y + \sum_j p_j^2

    Its expectation is least at the true probabilities, and exceeds the minimum by the squared distance from them. Two
    classes give ``2 * (1 - p_y)**2``. The gradient vanishes at rows that are very wrong, so it forgives outliers and
    may learn slowly at first. O(n k).

    References
    ----------
    .. [1] Brier. "Verification of forecasts expressed in terms of probability". Monthly Weather Review 78, 1950.
    .. [2] Gneiting, Raftery. "Strictly proper scoring rules, prediction, and estimation". JASA 102, 2007.

    Examples
    --------
    >>> brier(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
    tensor([0.5000])
    """
    others = torch.softmax(logits, dim=1).scatter(1, y[:, None], 0.0)  # (n, k); their sum is 1 - p_y to the last digit
    return others.sum(dim=1).square() + others.square().sum(dim=1)  # (n,)
