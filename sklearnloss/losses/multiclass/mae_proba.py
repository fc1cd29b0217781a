"""Mean absolute error of probabilities."""

import torch

from sklearnloss.component import loss
from sklearnloss.functional.numerics import log_odds
from sklearnloss.typing import Labels, Logits, PerRow


@loss("mae_proba", task="multiclass")
def mae_proba(logits: Logits, y: Labels) -> PerRow:
    r"""Absolute distance between the probabilities and the label: bounded, so no wrong label weighs much.

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
    .. math:: \ell = \sum_j |p_j - [j = y]| = 2 (1 - p_y)

    Summed over all k possible labels it is ``2 (k - 1)`` whatever the scores, which is why evenly spread wrong labels
    do not move its minimum. The gradient vanishes at rows that are very right and very wrong: it learns slowly.
    O(n k).

    References
    ----------
    .. [1] Ghosh, Kumar, Sastry. "Robust loss functions under label noise for deep neural networks". AAAI 2017.

    Examples
    --------
    >>> mae_proba(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([0.3124])
    """
    return 2 * torch.sigmoid(-log_odds(logits, y))  # (n,)
