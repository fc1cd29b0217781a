"""Generalised cross entropy."""

from typing import Annotated

from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.functional.numerics import box_cox
from sklearnloss.typing import Labels, Logits, PerRow


@loss("gce", task="multiclass", aliases=("generalized_cross_entropy",))
def gce(logits: Logits, y: Labels, *, q: Annotated[float, Interval(0, 1, "right"), Search(0.1, 1)] = 0.7) -> PerRow:
    r"""Bridge cross entropy, which learns fast, and the absolute error, which forgives wrong labels.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    q : float in (0, 1], default=0.7
        How much is forgiven.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, in [0, 1 / q].

    Notes
    -----
    .. math:: \ell = \frac{1 - p_y^q}{q}

    ``q -> 0`` is cross entropy, ``q=1`` is ``1 - p_y``, half the absolute error. It is the comp-sum loss with
    ``tau = 1 + q``. For ``q < 1`` the best probabilities are proportional to the true ones raised to ``1 / (1 - q)``.
    O(n k).

    References
    ----------
    .. [1] Zhang, Sabuncu. "Generalized cross entropy loss for training deep neural networks with noisy labels".
       NeurIPS 2018.

    Examples
    --------
    >>> import torch
    >>> gce(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([0.1601])
    """
    log_p = -F.cross_entropy(logits, y, reduction="none")  # (n,)
    return -box_cox(log_p, q)  # (n,)
