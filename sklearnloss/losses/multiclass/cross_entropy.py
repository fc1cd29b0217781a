"""Cross entropy."""

from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.typing import Labels, Logits, PerRow


@loss("cross_entropy", task="multiclass", proper=True, aliases=("ce", "log_loss"))
def cross_entropy(logits: Logits, y: Labels) -> PerRow:
    r"""Negative log probability of the true class, the one to beat.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -z_y + \log \sum_j \exp z_j

    Adding a constant to all scores of a row changes nothing; equal scores give ``log(k)``. O(n k).

    References
    ----------
    .. [1] Good. "Rational decisions". Journal of the Royal Statistical Society B 14, 1952.

    Examples
    --------
    >>> import torch
    >>> cross_entropy(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([0.1698])
    """
    return F.cross_entropy(logits, y, reduction="none")
