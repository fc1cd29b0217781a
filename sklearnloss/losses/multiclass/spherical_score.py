"""Spherical score."""

import torch
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.functional.numerics import log_odds
from sklearnloss.typing import Labels, Logits, PerRow


@loss("spherical_score", task="multiclass", proper=True)
def spherical_score(logits: Logits, y: Labels) -> PerRow:
    r"""One minus the cosine between the probabilities and the label: proper like cross entropy, and bounded.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, in [0, 1].

    Notes
    -----
    .. math:: \ell = 1 - \frac{p_y}{\|p\|_2}

    Its expectation is least at the true probabilities. The normalising constant of the softmax cancels. The gradient
    vanishes at rows that are very wrong, so it forgives outliers and may learn slowly at first. O(n k).

    References
    ----------
    .. [1] Gneiting, Raftery. "Strictly proper scoring rules, prediction, and estimation". JASA 102, 2007.

    Examples
    --------
    >>> spherical_score(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))  # 1 - sqrt(1 / 2)
    tensor([0.2929])
    """
    squares = log_odds(2 * logits, y)  # (n,); log of p_y ** 2 over the sum of the other squares
    return -torch.expm1(F.logsigmoid(squares) / 2)  # (n,)
